package lean

import "testing"

func TestOnlyReadOnlyMemoryOfTheProgramIsForgotten(t *testing.T) {
	for line, want := range map[string]bool{
		"00400000-01c00000 r-xp 00000000 08:01 12   /opt/otel col":  true,
		"01c00000-02000000 r--p 01800000 08:01 12   /opt/otel col":  true,
		"02000000-02100000 rw-p 03000000 08:01 12   /opt/otel col":  false,
		"7f0000000000-7f0000001000 r--p 00000000 08:01 9   /lib/x":  false,
		"c000000000-c000400000 rw-p 00000000 00:00 0":               false,
		"7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0   [vdso]":  false,
		"7f0000002000-7f0000003000 r--p 0 08:01 9   /else/otel col": false,
		"not a mapping": false,
	} {
		from, length, ok := readOnly(line, "/opt/otel col")
		if ok != want {
			t.Errorf("%q: forgotten %v, want %v", line, ok, want)
		}
		if ok && (from == 0 || length == 0) {
			t.Errorf("%q: %#x bytes at %#x", line, length, from)
		}
	}
}

func TestTheProgramRunsOn(t *testing.T) {
	if err := GiveBack(); err != nil {
		t.Fatal(err)
	}
}

//go:build !linux

package lean

import "runtime/debug"

// GiveBack returns the heap that only the start needed.
func GiveBack() error {
	debug.FreeOSMemory()
	return nil
}

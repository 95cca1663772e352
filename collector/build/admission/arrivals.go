package admission

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// Of bodies that are on their way, beyond what each may have for nothing.
	maxArriving = 48 << 20
	// Of gRPC calls that are not answered yet: each may become 8 MiB when it is decompressed.
	maxCalls = 48
	// A request stalls that is not there after the first time and comes at less than the rate: 8 MiB in
	// the 10 s that it may take need three times as much. What came at once counts for the second time,
	// a round trip and more.
	graceTime    = 20 * time.Millisecond
	bytesASecond = 256 << 10
	creditTime   = 250 * time.Millisecond
)

// arrivals is what is on its way, from whom. Where it becomes too much, one that is not there in whole
// gives way: the oldest of the host that holds most, or, where that is the host that asks, its oldest
// that stalls. So nobody waits for a message that does not come, and who holds little loses nothing to
// who holds much; but requests that come at a good rate are not thrown away for the next ones.
type arrivals struct {
	mu     sync.Mutex
	limits holding
	all    holding
	hosts  map[netip.Prefix]*host
}

type holding struct{ bytes, calls int64 }

// host is one address that sends, or one network of IPv6, of which every subscriber has 2^64.
type host struct {
	holding
	requests int
	// Of *arrival, the oldest first: those that are not there in whole.
	waiting list.List
}

// line is what brings requests: a connection of gRPC, with many at once, or one body of HTTP.
type line struct {
	from netip.Prefix
	host *host
	// Bytes that it has brought, ever.
	brought int64
	// Until when that is enough.
	enough time.Time
	// The oldest first.
	open []*arrival
}

// arrival is one request, until it is answered.
type arrival struct {
	line *line
	// What its line had brought before.
	before int64
	began  time.Time
	calls  int64
	// stop makes it end soon. It is called once at most, never after the request is there.
	stop      func()
	dismissed bool
	waiting   *list.Element
}

func newArrivals(limits holding) *arrivals {
	return &arrivals{limits: limits, hosts: map[netip.Prefix]*host{}}
}

func hostOf(address string) netip.Prefix {
	found, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Prefix{} // a Unix socket
	}
	ip, bits := found.Addr().Unmap().WithZone(""), 64
	if ip.Is4() {
		bits = 32
	}
	prefix, _ := ip.Prefix(bits)
	return prefix
}

// begin is for a request's headers; nil where there is no room. `calls` is 1 for those that are counted.
func (a *arrivals) begin(on *line, calls int64, stop func()) *arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	from := a.hosts[on.from]
	if from == nil {
		from = &host{}
		a.hosts[on.from] = from
	}
	on.host = from
	one := &arrival{line: on, before: on.brought, began: time.Now(), calls: calls, stop: stop}
	on.open = append(on.open, one)
	from.requests++
	a.hold(from, holding{calls: calls})
	if !a.makeRoom(from) {
		a.end(one)
		return nil
	}
	one.waiting = from.waiting.PushBack(one)
	return one
}

// bring is for bytes that a line has brought, or is about to. False where there is no room for them, or
// no request any more. Where there is none, `refuse` ends what the line is bringing, before anybody else
// asks: who holds little would be refused for bytes that nobody keeps.
func (a *arrivals) bring(on *line, bytes int64, refuse func(*arrival)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := on.held()
	on.brought += bytes
	if len(on.open) == 0 {
		return false
	}
	on.credit(bytes)
	a.hold(on.host, holding{bytes: on.held() - before})
	if a.makeRoom(on.host) {
		return len(on.open) > 0
	}
	for _, one := range slices.Clone(on.open) {
		if one.waiting != nil && a.all.bytes > a.limits.bytes {
			refuse(one)
		}
	}
	return false
}

// whole is for a request that is there: it keeps its room, to nobody's cost, until it is answered.
// False for one that had to give way.
func (a *arrivals) whole(one *arrival) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one.waiting == nil {
		return false
	}
	one.line.host.waiting.Remove(one.waiting)
	one.waiting = nil
	return true
}

// leave is for a request's end, whatever it was.
func (a *arrivals) leave(one *arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end(one)
}

// held is what a line has brought since the oldest of its open requests began: whose a byte is needs
// not be known, and none is forgotten.
func (l *line) held() int64 {
	if len(l.open) == 0 {
		return 0
	}
	return l.brought - l.open[0].before
}

func (a *arrivals) hold(by *host, more holding) {
	for _, held := range []*holding{&a.all, &by.holding} {
		held.bytes += more.bytes
		held.calls += more.calls
	}
}

func (a *arrivals) makeRoom(asking *host) bool {
	bytes := func(h holding) int64 { return h.bytes }
	calls := func(h holding) int64 { return h.calls }
	for _, of := range []func(holding) int64{bytes, calls} {
		for of(a.all) > of(a.limits) {
			most := asking
			for _, one := range a.hosts {
				if of(one.holding) > of(most.holding) {
					most = one
				}
			}
			one := most.waiting.Front()
			for most == asking && one != nil && !one.Value.(*arrival).stalls() {
				one = one.Next()
			}
			if one == nil {
				return false
			}
			a.giveWay(one.Value.(*arrival))
		}
	}
	return true
}

// credit is shared by the requests of a line: none is fast because another is.
func (l *line) credit(bytes int64) {
	now := time.Now()
	if l.enough.Before(now) {
		l.enough = now
	}
	l.enough = l.enough.Add(time.Duration(bytes) * time.Second / time.Duration(bytesASecond*len(l.open)))
	if latest := now.Add(creditTime); l.enough.After(latest) {
		l.enough = latest
	}
}

func (o *arrival) stalls() bool {
	return time.Since(o.began) > graceTime && time.Now().After(o.line.enough)
}

func (a *arrivals) giveWay(one *arrival) {
	one.stop()
	one.dismissed = true
	a.end(one)
}

// gaveWay is whether a request had to.
func (a *arrivals) gaveWay(one *arrival) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return one.dismissed
}

func (a *arrivals) end(one *arrival) {
	on := one.line
	at := slices.Index(on.open, one)
	if at < 0 {
		return
	}
	before := on.held()
	on.open = slices.Delete(on.open, at, at+1)
	a.hold(on.host, holding{bytes: on.held() - before, calls: -one.calls})
	if one.waiting != nil {
		on.host.waiting.Remove(one.waiting)
		one.waiting = nil
	}
	if on.host.requests--; on.host.requests == 0 {
		delete(a.hosts, on.from)
	}
}

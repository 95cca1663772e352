package admission

import (
	"net"
	"strings"

	"google.golang.org/grpc/credentials"
)

const (
	// RFC 9113, 3.4.
	greeting         = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	prefaceBytes     = len(greeting)
	frameHeaderBytes = 9
	// Of memory that grpc-go needs for a frame, whatever is in it: 8 MiB in frames of one byte are 1 GB.
	frameBytes = 128
)

// following counts what comes over a connection of gRPC while it comes: grpc-go reads a message in whole
// before it asks anyone, and its flow control leaves out padding.
type following struct {
	credentials.TransportCredentials
	guard *Guard
}

func (f following) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	plain, info, err := f.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		f.guard.failedHandshake(overGRPC, err.Error())
		return nil, nil, err
	}
	followed := &connection{
		Conn: plain, encrypted: plain != raw, guard: f.guard, address: plain.RemoteAddr(), skip: prefaceBytes,
	}
	followed.line.from = hostOf(followed.address.String())
	f.guard.lines.Store(followed.address, &followed.line)
	return followed, info, nil
}

func (f following) Clone() credentials.TransportCredentials {
	return following{f.TransportCredentials.Clone(), f.guard}
}

type connection struct {
	net.Conn
	// Its descriptor then gives other bytes than it does.
	encrypted bool
	guard     *Guard
	address   net.Addr
	line      line
	greeted   bool
	early     []byte
	// Of the frames: what is to come of one, or what there is of the next one's header.
	skip   int
	header [frameHeaderBytes]byte
	filled int
}

// RemoteAddr is what the calls of this connection are known by.
func (c *connection) RemoteAddr() net.Addr { return c.address }

func (c *connection) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if n > 0 && !c.greeted {
		c.greeted = true
		if !strings.HasPrefix(greeting, string(into[:min(n, len(greeting))])) {
			c.stranger(into[:n])
			return 0, errNoGRPC
		}
		if _, err := c.Conn.Write(c.early); err != nil {
			return 0, err
		}
		c.early = nil
	}
	if n > 0 {
		c.brought(into[:n])
	}
	return n, err
}

// Write keeps what grpc-go says first, its settings, until it is known that the other side speaks HTTP/2
// too: an HTTP client could not read our answer behind it. Nobody waits for it: a client greets first.
func (c *connection) Write(content []byte) (int, error) {
	if !c.greeted {
		c.early = append(c.early, content...)
		return len(content), nil
	}
	return c.Conn.Write(content)
}

func (c *connection) brought(read []byte) {
	bytes := int64(len(read) + frameBytes*c.frames(read))
	c.guard.arriving.bring(&c.line, bytes, c.guard.arriving.giveWay)
}

func (c *connection) Close() error {
	c.guard.lines.Delete(c.address)
	return c.Conn.Close()
}

// frames is how many begin in what was read (RFC 9113, 4.1).
func (c *connection) frames(read []byte) int {
	begun := 0
	for len(read) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(read))
			c.skip -= n
			read = read[n:]
			continue
		}
		n := copy(c.header[c.filled:], read)
		read = read[n:]
		if c.filled += n; c.filled == frameHeaderBytes {
			c.filled = 0
			c.skip = int(c.header[0])<<16 | int(c.header[1])<<8 | int(c.header[2])
			begun++
		}
	}
	return begun
}

package admission

import (
	"errors"
	"io"
	"syscall"

	"google.golang.org/grpc/mem"
)

// ReadOnReady is how grpc-go reads where a connection lets it: a buffer is taken when there is something
// to read. It does the same with a bare TCP connection, and not with one that is wrapped: 10,000 silent
// ones would hold 320 MB.
func (c *connection) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	bare, is := c.Conn.(syscall.Conn)
	if !is || c.encrypted {
		buffer = pool.Get(size)
		if n, err = c.Read(*buffer); err != nil {
			pool.Put(buffer)
			return nil, 0, err
		}
		return buffer, n, nil
	}
	raw, err := bare.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	var failed error
	err = raw.Read(func(descriptor uintptr) bool {
		buffer = pool.Get(size)
		for n, failed = syscall.Read(int(descriptor), *buffer); errors.Is(failed, syscall.EINTR); {
			n, failed = syscall.Read(int(descriptor), *buffer)
		}
		if failed == nil && n > 0 {
			return true
		}
		pool.Put(buffer)
		buffer = nil
		return !errors.Is(failed, syscall.EAGAIN)
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, 0, err
	}
	if n == 0 {
		return nil, 0, io.EOF
	}
	c.brought((*buffer)[:n])
	return buffer, n, nil
}

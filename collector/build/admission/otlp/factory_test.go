package otlp

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/encoding"
)

// asking is a frame of zstd that asks for 2^bits bytes and holds ten.
func asking(bits byte) []byte {
	lastBlockOfOneByteTenTimes := []byte{1 | 1<<1 | 10<<3, 0, 0, 'x'}
	return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, (bits - 10) << 3}, lastBlockOfOneByteTenTimes...)
}

func TestAFrameOfZstdOverGRPCGetsNoMoreThan8MiB(t *testing.T) {
	NewFactory()
	for bits, want := range map[byte]error{23: nil, 24: zstd.ErrWindowSizeExceeded, 29: zstd.ErrWindowSizeExceeded} {
		decoder, err := encoding.GetCompressor("zstd").Decompress(bytes.NewReader(asking(bits)))
		var content []byte
		if err == nil {
			content, err = io.ReadAll(decoder)
		}
		if !errors.Is(err, want) || (want == nil && len(content) != 10) {
			t.Errorf("2^%d bytes: %d, %v", bits, len(content), err)
		}
	}
}

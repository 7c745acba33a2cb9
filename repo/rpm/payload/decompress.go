package payload

import (
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// maxWindow is how many bytes a decompressor may look back; zstd -22 --ultra writes
// 128 MiB.
const maxWindow = 256 << 20

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// Decompress opens what is compressed; compressor is rpm's name for how. No
// decompressor may look back further than maxWindow: what an xz stream declares for
// later blocks takes memory only as far as it is filled.
func Decompress(compressor string, r io.Reader) (io.ReadCloser, error) {
	switch compressor {
	case "", "gzip":
		return gzip.NewReader(r)
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case "bzip2":
		return io.NopCloser(bzip2.NewReader(r)), nil
	case "xz":
		head := make([]byte, 24)
		n, err := io.ReadFull(r, head)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		// Stream header of 12 bytes, then of the block: its size, flags, the filter's
		// number, the length of its properties, the dictionary's size.
		if n == len(head) && head[13]&0xc0 == 0 && head[14] == 0x21 {
			size, err := lzma.DecodeDictCap(head[16])
			if err != nil || size > maxWindow {
				return nil, fmt.Errorf("its dictionary is larger than %d MiB", maxWindow>>20)
			}
		}
		x, err := xz.NewReader(io.MultiReader(bytes.NewReader(head[:n]), r))
		return io.NopCloser(x), err
	case "lzma":
		head := make([]byte, 13)
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, err
		}
		if size := uint32(head[1]) | uint32(head[2])<<8 | uint32(head[3])<<16 | uint32(head[4])<<24; size > maxWindow {
			return nil, fmt.Errorf("its dictionary is larger than %d MiB", maxWindow>>20)
		}
		x, err := lzma.NewReader(io.MultiReader(bytes.NewReader(head), r))
		return io.NopCloser(x), err
	}
	return nil, fmt.Errorf("it is compressed by %.20q, which is not known here", compressor)
}

package replay

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// pieceSize is how much of a file is read at once. A line is at most as long.
const pieceSize = MaxLine

// piece is some lines of a file.
type piece struct {
	buf  []byte
	text []byte // part of buf

	// long says that it begins with the end of a line that is too long.
	long bool
	pool *sync.Pool
}

func (p piece) free() {
	if p.pool != nil {
		p.pool.Put(&p.buf)
	}
}

// pieces cuts a file at its line ends.
type pieces struct {
	from io.Reader
	rest []byte // what was read behind the last line end
	long bool   // it belongs to a line that is too long
	pool sync.Pool
}

func newPieces(r io.Reader) *pieces {
	p := &pieces{from: r}
	p.pool.New = func() any {
		buf := make([]byte, pieceSize)
		return &buf
	}
	return p
}

// next returns the next piece, with io.EOF if it is the last.
func (p *pieces) next() (piece, error) {
	buf := *p.pool.Get().(*[]byte)
	n := copy(buf, p.rest)
	for {
		m, err := p.from.Read(buf[n:])
		n += m
		if err != nil && !errors.Is(err, io.EOF) {
			return piece{}, err
		}
		if err != nil {
			return piece{buf: buf, text: buf[:n], long: p.long, pool: &p.pool}, io.EOF
		}
		if n < len(buf) {
			continue
		}
		if end := bytes.LastIndexByte(buf, '\n'); end >= 0 {
			one := piece{buf: buf, text: buf[:end+1], long: p.long, pool: &p.pool}
			p.rest, p.long = append(p.rest[:0], buf[end+1:]...), false
			return one, nil
		}
		p.long, n = true, 0
	}
}

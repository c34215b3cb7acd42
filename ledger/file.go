package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weirfs/weir"
)

const (
	fileName = "ledger"
	tempName = "ledger.new"
)

// load reads the file and returns its book, how much of the file is sound, and how many lines in the
// sound part could not be read. A last line without a newline, or with a wrong checksum, is torn.
func load(data []byte) (b *book, sound int, damaged int, err error) {
	b = newBook()
	bad := 0 // unreadable lines since the last readable one
	for rest := data; ; {
		line, next, whole := bytes.Cut(rest, []byte{'\n'})
		if !whole {
			break
		}
		rest = next
		r, decodeErr := decode(line)
		if decodeErr != nil {
			bad++
			continue
		}
		if r.Kind == kindHeader && r.Version > version {
			return nil, 0, 0, fmt.Errorf("its version is %d, this weir knows %d", r.Version, version)
		}
		b.apply(r)
		damaged, bad = damaged+bad, 0
		sound = len(data) - len(rest)
	}
	return b, sound, damaged, nil
}

// readFile loads the ledger of dir, or an empty one, and counts the lines that could not be read, also a torn one.
func readFile(dir string) (b *book, damaged int, err error) {
	path := filepath.Join(dir, fileName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newBook(), 0, nil
	}
	var sound int
	if err == nil {
		b, sound, damaged, err = load(data)
	}
	if err != nil {
		return nil, 0, &weir.Error{
			Op: "open ledger", Kind: weir.KindFailed, Path: path, Err: err,
			Hint: "move the file aside to start a new one; what is replicated is not affected",
		}
	}
	return b, damaged + linesIn(data[sound:]), nil
}

// linesIn counts lines, of which the last may have no newline.
func linesIn(data []byte) (n int) {
	for range bytes.Lines(data) {
		n++
	}
	return n
}

// rewrite replaces the ledger of dir by the book's records and returns the new file, open for appending,
// and its size. The file is whole before it gets its name, and the name is durable when rewrite returns.
func rewrite(dir string, b *book) (_ *os.File, size int64, err error) {
	temp := filepath.Join(dir, tempName)
	file, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("compact ledger: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("compact ledger: %w", err)
			_ = file.Close()
			_ = os.Remove(temp)
		}
	}()
	var buf bytes.Buffer
	for _, r := range b.records() {
		line, err := encode(r)
		if err != nil {
			return nil, 0, err
		}
		buf.Write(line)
	}
	if _, err := file.Write(buf.Bytes()); err != nil {
		return nil, 0, err
	}
	if err := file.Sync(); err != nil {
		return nil, 0, err
	}
	if err := os.Rename(temp, filepath.Join(dir, fileName)); err != nil {
		return nil, 0, err
	}
	return file, int64(buf.Len()), syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

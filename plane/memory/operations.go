package memory

import (
	"context"

	"github.com/weirfs/weir"
)

// where resolves a name, without passing a gate.
func (v *Volume) where(op weir.Ops, name string) (*weir.Parameters, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	dir, base, entry, err := v.find(name)
	if err != nil {
		return nil, err
	}
	p := &weir.Parameters{Op: op, Dir: dir.handle, Name: base, PID: 1}
	if entry != nil {
		p.Object, p.IsDir = entry.handle, entry.children != nil
	}
	return p, nil
}

// existing is where for a name that has to exist.
func (v *Volume) existing(op weir.Ops, name string) (*weir.Parameters, error) {
	p, err := v.where(op, name)
	if err == nil && p.Object == "" {
		err = missing(name)
	}
	return p, err
}

// do does an operation whose parameters are known, unless they are not.
func (v *Volume) do(p *weir.Parameters, err error) error {
	if err != nil {
		return err
	}
	return v.Do(context.Background(), p).Err
}

// Create makes an empty file.
func (v *Volume) Create(name string) error { return v.make(name, false) }

// Mkdir makes a directory.
func (v *Volume) Mkdir(name string) error { return v.make(name, true) }

func (v *Volume) make(name string, dir bool) error {
	p, err := v.where(weir.OpCreate, name)
	if err == nil {
		p.Object, p.IsDir = "", dir
	}
	return v.do(p, err)
}

// Chmod changes the attributes of a file or directory.
func (v *Volume) Chmod(name string) error { return v.do(v.existing(weir.OpAttrib, name)) }

// Remove removes a name.
func (v *Volume) Remove(name string) error { return v.do(v.existing(weir.OpDelete, name)) }

// Link makes another name for a file.
func (v *Volume) Link(old, name string) error {
	from, err := v.existing(weir.OpCreate, old)
	if err != nil {
		return err
	}
	p, err := v.where(weir.OpCreate, name)
	if err == nil {
		p.Object = from.Object
	}
	return v.do(p, err)
}

// Rename moves a name, over another one if there is one.
func (v *Volume) Rename(old, name string) error {
	p, err := v.existing(weir.OpRename, old)
	if err != nil {
		return err
	}
	to, err := v.where(weir.OpRename, name)
	if err == nil {
		p.NewDir, p.NewName = to.Dir, to.Name
	}
	return v.do(p, err)
}

// Write opens a file, changes its content and closes it. The plane tells it as one operation.
func (v *Volume) Write(name string) error {
	f, err := v.open(name, true)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("written"), 0)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// Read opens a file, reads it and closes it.
func (v *Volume) Read(name string) error {
	f, err := v.Open(name)
	if err != nil {
		return err
	}
	_, err = f.ReadAt(make([]byte, 1), 0)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// File is an open file. It is safe for concurrent use.
type File struct {
	volume *Volume
	at     weir.Parameters
}

// Open opens a file.
func (v *Volume) Open(name string) (*File, error) { return v.open(name, false) }

func (v *Volume) open(name string, quiet bool) (*File, error) {
	p, err := v.existing(weir.OpOpen, name)
	if err != nil {
		return nil, err
	}
	result := v.Do(context.Background(), p)
	if result.Err != nil {
		return nil, result.Err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if o := v.opens[result.Open]; o != nil {
		o.quiet = quiet
	}
	f := &File{volume: v, at: *p}
	f.at.Open, f.at.Object = result.Open, result.Object
	return f, nil
}

// ID returns what identifies the open file.
func (f *File) ID() weir.OpenID { return f.at.Open }

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(b []byte, at int64) (int, error) {
	return f.do(weir.OpModify, func(p *weir.Parameters) { p.Data, p.Offset = b, at })
}

// ReadAt is like io.ReaderAt, but has no error at the end of the file.
func (f *File) ReadAt(b []byte, at int64) (int, error) {
	return f.do(weir.OpAccess, func(p *weir.Parameters) { p.Data, p.Offset = b, at })
}

// Truncate changes the size.
func (f *File) Truncate(size int64) error {
	_, err := f.do(weir.OpModify, func(p *weir.Parameters) { p.Length = size })
	return err
}

// Close closes the file.
func (f *File) Close() error {
	_, err := f.do(weir.OpClose, func(*weir.Parameters) {})
	return err
}

func (f *File) do(op weir.Ops, with func(*weir.Parameters)) (int, error) {
	p := f.at
	p.Op = op
	with(&p)
	result := f.volume.Do(context.Background(), &p)
	return int(result.N), result.Err
}

package weirtest

import (
	"context"
	"fmt"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

// operate does every operation once, and the work of the filter's author. That the filter refuses some is its right. It
// does not wait for what the filter pends.
func (c *trial) operate(v *memory.Volume) {
	c.Begin(func() error {
		_ = v.Mkdir("d")
		_ = v.Mkdir("e")
		for i := range 3 {
			name := fmt.Sprint("d/", i)
			_ = v.Create(name)
			_ = v.Write(name)
			_ = v.Read(name)
			_ = v.Chmod(name)
		}
		_ = v.Link("d/0", "e/link")
		_ = v.Rename("d/1", "e/moved")
		_ = v.Rename("d/2", "d/0")
		if f, err := v.Open("e/moved"); err == nil {
			_, _ = f.WriteAt([]byte("more"), 3)
			_ = v.Remove("e/moved")
			_, _ = f.ReadAt(make([]byte, 8), 0)
			_ = f.Truncate(1)
			_ = f.Close()
		}
		for _, name := range []string{"d/0", "e/link", "d/gone", "d", "e"} {
			_ = v.Remove(name)
		}
		for _, work := range c.work {
			work(v)
		}
		return nil
	})
}

// each returns one operation of each kind on a volume, or none if the filter does not let it be prepared.
func (c *trial) each(v *memory.Volume) (list []*weir.Parameters) {
	prepared := c.Begin(func() (err error) {
		list, err = prepare(v)
		return err
	})
	time.Sleep(time.Minute)
	if !prepared.Done() {
		c.fault("an operation has not ended after %v, and nobody keeps it but the filter", time.Minute)
		return nil
	}
	return list
}

func prepare(v *memory.Volume) ([]*weir.Parameters, error) {
	for _, name := range []string{"chmod", "rename", "remove", "open", "busy"} {
		_ = v.Create(name)
	}
	root, err := v.Handle("")
	list := []*weir.Parameters{
		{Op: weir.OpCreate, Dir: root, Name: "create"},
		{Op: weir.OpAttrib, Dir: root, Name: "chmod"},
		{Op: weir.OpRename, Dir: root, Name: "rename", NewDir: root, NewName: "renamed"},
		{Op: weir.OpDelete, Dir: root, Name: "remove"},
		{Op: weir.OpOpen, Dir: root, Name: "open"},
	}
	for _, p := range list {
		p.Object, _ = v.Handle(p.Name)
	}
	if f, err := v.Open("busy"); err == nil {
		at := weir.Parameters{Dir: root, Name: "busy", Open: f.ID()}
		at.Object, _ = v.Handle("busy")
		read, write, end := at, at, at
		write.Op, write.Data = weir.OpModify, []byte("written")
		read.Op, read.Data = weir.OpAccess, make([]byte, 4)
		end.Op = weir.OpClose
		list = append(list, &write, &read, &end)
	}
	return list, err
}

// load begins operations that hang on the volume, and completed ones that are held back, until release is called.
func (c *trial) load(v *memory.Volume) (release func(), begun []*Pending) {
	c.operate(v)
	list := c.each(v)
	c.Plane.Hold()
	goOn := make(chan struct{})
	v.Obstruct(func(context.Context, *weir.Parameters) error { <-goOn; return nil })
	for _, p := range list {
		begun = append(begun, c.Begin(func() error { return v.Do(context.Background(), p).Err }))
	}
	return func() {
		v.Obstruct(nil)
		close(goOn)
		c.Plane.Release()
	}, begun
}

// finish lets operations go on, which then have to end.
func (c *trial) finish(release func(), begun []*Pending) {
	release()
	time.Sleep(soon)
	for i, p := range begun {
		if !p.Done() {
			c.fault("operation %d has not ended %v after the volume has let it go on", i, soon)
		}
	}
}

package replica

import (
	"testing"

	"github.com/weirfs/weir"
)

func TestDecide(t *testing.T) {
	file := Attr{Mode: TypeFile | 0o644, Size: 10, Mtime: Time{Sec: 1, Nsec: 1}, Ctime: Time{Sec: 1, Nsec: 1}}
	changed := func(change func(*Attr)) Attr {
		a := file
		change(&a)
		return a
	}
	later := Time{Sec: 2}
	for _, c := range []struct {
		name  string
		flags Flags
		now   Attr
		look  Look
		want  Work
	}{
		{"nothing has changed, on a walk", Quiet, file, Look{Scan: true}, Nothing},
		{"nothing has changed, the close that follows a write", Quiet, file, Look{Ops: weir.OpClose}, Nothing},
		{"written, in the same tick of the clock", Quiet | Racy, file, Look{Ops: weir.OpModify}, Compare},
		{"written, in the same tick of the clock, and nobody has said so", Quiet | Racy, file, Look{Scan: true}, Compare},
		{"read in the tick of its last change, no event", Quiet | Racy, file, Look{}, Nothing},
		{"closed, and its ctime has moved since it was read", Quiet | Touched, file, Look{Ops: weir.OpClose}, Compare},
		{"met on a walk, and its ctime has moved since it was read", Quiet | Touched, file, Look{Scan: true}, Nothing},
		{"closed by somebody who had it open when it was copied", 0, file, Look{Ops: weir.OpClose}, Compare},
		{"closed where a mapping leaves no sign", Quiet, file, Look{Ops: weir.OpClose, MapsLeaveNoSign: true}, Compare},
		{"met on a walk, and somebody had it open when it was copied", 0, file, Look{Scan: true}, Compare},
		{"met on a walk, recorded by a batch that may be lost", Quiet, file, Look{Scan: true, Doubtful: true}, Compare},
		{"the same, where the target shows what its disk may not have", Quiet, file, Look{Scan: true, Doubtful: true, Rewrite: true}, Content},
		{"recorded by a batch that is not, where others may be lost", Quiet, file, Look{Scan: true, Rewrite: true}, Nothing},
		{"nothing has changed, and content is compared", Quiet, file, Look{Scan: true, Full: true, Redress: true}, Compare},
		{"an empty file, and content is compared", Quiet, changed(func(a *Attr) { a.Size = 0 }), Look{Scan: true, Full: true}, Nothing},
		{"other privileges are wanted", Quiet, file, Look{Scan: true, Redress: true}, Metadata},
		{"another size", Quiet, changed(func(a *Attr) { a.Size = 11 }), Look{Scan: true}, Content},
		{"another time of modification", Quiet, changed(func(a *Attr) { a.Mtime, a.Ctime = later, later }), Look{Scan: true}, Content},
		{"touched", Quiet, changed(func(a *Attr) { a.Mtime, a.Ctime = later, later }), Look{Ops: weir.OpAttrib}, Compare},
		{"chmod, as an event", Quiet, changed(func(a *Attr) { a.Mode, a.Ctime = TypeFile|0o600, later }), Look{Ops: weir.OpAttrib}, Metadata},
		{"chmod or a write with its time set back, on a walk", Quiet, changed(func(a *Attr) { a.Ctime = later }), Look{Scan: true}, Compare},
		{"published while it was written", Inexact, file, Look{Scan: true}, Content},
		{"another type", Quiet, changed(func(a *Attr) { a.Mode = TypeFIFO | 0o644 }), Look{}, Content},
	} {
		old := Node{Source: file, Flags: c.flags}
		if c.now.Size == 0 {
			old.Source.Size = 0
		}
		if got := Decide(&old, c.now, c.look); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := Decide(nil, file, Look{}); got != Content {
		t.Errorf("a new file: %d", got)
	}
}

func TestEmptied(t *testing.T) {
	full, empty := Attr{Mode: TypeFile, Size: 1}, Attr{Mode: TypeFile}
	if !Emptied(&Node{Source: full}, empty) || Emptied(&Node{Source: empty}, empty) || Emptied(nil, empty) {
		t.Error("a file is emptied when it had content and has none")
	}
}

package activity

import (
	"context"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/weirfs/weir"
)

// What there is to say of what has no name any more, or never had one.
const (
	deleted = "<deleted directory>"
	unknown = "<unknown directory>"
	unnamed = "<unnamed file>"
)

const (
	// keptDirs is how many directories of a volume are known at a time.
	keptDirs = 1 << 14

	// locateTime bounds how long a volume is asked for the names of directories.
	locateTime = 2 * time.Second

	// kept is how long the name of a process is good after it has been read: its number is not used again so soon.
	kept          = time.Second
	keptProcesses = 1 << 12
)

// named is an operation with what is known of its names: paths on the volume, or what is said instead.
type named struct {
	process  string
	nameless bool // process is what is said instead
	path, to place
}

// place is a path on a volume, which begins with a slash, or what is said instead.
type place string

func (p place) known() bool { return strings.HasPrefix(string(p), "/") }

// names finds out how things are called. It belongs to one goroutine.
type names struct {
	volume    weir.Volume
	dirs      map[weir.Handle]place // also of directories that are gone by now, as long as they may be spoken of
	processes map[int]process
	entries   map[weir.Handle]weir.Operation // of files, in what is being told
	missing   place                          // what is said of a directory that was not found
}

// process is the name of one, as it was read last.
type process struct {
	name string
	at   time.Time
}

func newNames(v weir.Volume) names {
	return names{volume: v, dirs: map[weir.Handle]place{}, processes: map[int]process{}, entries: map[weir.Handle]weir.Operation{}}
}

// readProcesses reads the names of those who have done something, before they are gone.
func (n *names) readProcesses(all []happening) {
	if len(n.processes) > keptProcesses {
		clear(n.processes)
	}
	read := map[int]bool{}
	now := time.Now()
	for _, h := range all {
		pid := h.op.PID
		if pid == 0 || read[pid] {
			continue
		}
		read[pid] = true
		comm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		if err == nil {
			n.processes[pid] = process{strings.TrimSuffix(string(comm), "\n"), now}
		} else if now.Sub(n.processes[pid].at) > kept {
			delete(n.processes, pid)
		}
	}
}

// process names one. known is false if name is what is said instead.
func (n *names) process(pid int) (name string, known bool) {
	p, read := n.processes[pid]
	switch {
	case pid == 0:
		return "unknown", false
	case !read:
		return "exited", false
	}
	return p.name, true
}

// readDirs makes sure that the directories are known which the first of the operations speak of, and returns how many
// operations that are: a directory that was renamed may change the names of all.
func (n *names) readDirs(ctx context.Context, all []happening) int {
	count := 0
	var missing []weir.Handle
	asked := map[weir.Handle]bool{}
	clear(n.entries)
	for _, h := range all {
		if h.op.Dir != "" && h.op.Object != "" && !h.op.IsDir {
			n.entries[h.op.Object] = h.op
		}
		for _, dir := range []weir.Handle{h.op.Dir, h.op.NewDir} {
			if dir != "" && n.dirs[dir] == "" && !asked[dir] {
				asked[dir] = true
				missing = append(missing, dir)
			}
		}
		count++
		if moves(h.op) {
			break
		}
	}
	n.missing = deleted
	if len(missing) > 0 {
		n.locate(ctx, missing)
	}
	return count
}

func moves(op weir.Operation) bool { return op.IsDir && op.Ops&weir.OpRename != 0 }

func (n *names) locate(ctx context.Context, dirs []weir.Handle) {
	if len(n.dirs)+len(dirs) > keptDirs {
		clear(n.dirs)
	}
	bounded, cancel := context.WithTimeout(ctx, locateTime)
	defer cancel()
	found, err := n.volume.Locate(bounded, dirs)
	for h, p := range found {
		n.dirs[h] = place(p)
	}
	if err != nil {
		n.missing = unknown
	}
}

// of names an operation, and learns from it.
func (n *names) of(op weir.Operation) named {
	at := op
	if e, told := n.entries[op.Object]; op.Dir == "" && told { // as when its last name goes: that is told right behind
		at = e
	}
	process, known := n.process(op.PID)
	p := named{process: process, nameless: !known, path: n.entry(at.Dir, at.Name, op.IsDir)}
	if op.Ops&weir.OpRename != 0 {
		p.to = n.entry(op.NewDir, op.NewName, op.IsDir)
	}
	if moves(op) {
		clear(n.dirs)
	}
	switch {
	case !op.IsDir || op.Object == "":
	case moves(op) && p.to.known():
		n.dirs[op.Object] = p.to
	case op.Ops&weir.OpCreate != 0 && p.path.known():
		n.dirs[op.Object] = p.path // It may be gone, or elsewhere, by now, and what happened in it here is yet to be told.
	}
	return p
}

// entry names what is in a directory, or the directory itself.
func (n *names) entry(dir weir.Handle, name string, isDir bool) place {
	at := n.dirs[dir]
	switch {
	case dir == "" && isDir:
		return n.missing
	case dir == "":
		return unnamed
	case at == "":
		at = n.missing
	}
	if name == "" || name == "." {
		return at
	}
	if at.known() {
		return place(path.Join(string(at), name))
	}
	return at + "/" + place(name)
}

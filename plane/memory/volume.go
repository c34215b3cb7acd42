package memory

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/weirfs/weir"
)

// Volume is a file system in memory: names, directories, hard links and content. It implements
// weir.Volume; a borrowed lease has no descriptor. It is safe for concurrent use.
type Volume struct {
	id    weir.VolumeID
	chain atomic.Pointer[level] // the gates, from high to low, and the volume itself

	mu            sync.Mutex
	info          weir.VolumeInfo
	root          *node
	nodes         map[weir.Handle]*node // those that have a name, or are open
	handles       uint64
	opens         map[weir.OpenID]*opened
	lastOpen      weir.OpenID
	left          bool
	leases        map[*lease]bool
	listeners     []*attachment   // replaced, and not changed
	interceptions []*interception // from high to low
	gone          []weir.ContextKey
	obstacle      func(context.Context, *weir.Parameters) error
	unsupported   error
	slow          func()
}

type node struct {
	handle   weir.Handle
	children map[string]*node // nil if it is no directory
	content  []byte
	names    int
	opens    int
}

var _ weir.Volume = (*Volume)(nil)

// NewVolume makes an empty volume that is mounted at point.
func NewVolume(id weir.VolumeID, point string) *Volume {
	v := &Volume{id: id, leases: map[*lease]bool{}, nodes: map[weir.Handle]*node{}, opens: map[weir.OpenID]*opened{}}
	v.relinkLocked()
	v.root = v.newNode(true)
	v.root.names = 1
	v.info = weir.VolumeInfo{
		ID: id, Device: fmt.Sprintf("0:%d", id), Source: fmt.Sprintf("memory%d", id), Handles: true, Sight: weir.SightFull,
		Identity: weir.Identity{FSType: "memory", UUID: fmt.Sprint(id), RootHandle: v.root.handle},
		Mounts:   []weir.Mount{{ID: uint64(id) * 100, Own: true, Root: "/", Point: point}},
	}
	return v
}

// Describe changes what is known of the volume, before it is mounted.
func (v *Volume) Describe(change func(*weir.VolumeInfo)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.info)
}

// Stack makes the volume a layer at altitude over others, before it is mounted.
func (v *Volume) Stack(altitude weir.Altitude, lower ...weir.VolumeID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.info.Layer, v.info.LayerAltitude, v.info.Lower = true, altitude, lower
}

func (v *Volume) newNode(dir bool) *node {
	v.handles++
	n := &node{handle: weir.Handle(binary.LittleEndian.AppendUint64([]byte{1, 0, 0, 0}, v.handles))}
	if dir {
		n.children = map[string]*node{}
	}
	v.nodes[n.handle] = n
	return n
}

// ID implements weir.Volume.
func (v *Volume) ID() weir.VolumeID { return v.id }

// Info implements weir.Volume.
func (v *Volume) Info() weir.VolumeInfo {
	v.mu.Lock()
	defer v.mu.Unlock()
	info := v.info
	info.Mounts = slices.Clone(info.Mounts)
	return info
}

// Refuse makes every plane's Attach fail with err from now on; nil lets it succeed again.
func (v *Volume) Refuse(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unsupported = err
}

// lease is a borrowed volume without a descriptor.
type lease struct {
	volume *Volume
	done   chan struct{}
	once   sync.Once
}

func (l *lease) FD() int               { return -1 }
func (l *lease) Done() <-chan struct{} { return l.done }
func (l *lease) revoke()               { l.once.Do(func() { close(l.done) }) }

func (l *lease) Close() error {
	l.volume.mu.Lock()
	defer l.volume.mu.Unlock()
	delete(l.volume.leases, l)
	return nil
}

// Borrow implements weir.Volume. The lease's FD is -1.
func (v *Volume) Borrow(_ context.Context, at string) (weir.Lease, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	on := slices.ContainsFunc(v.info.Mounts, func(m weir.Mount) bool {
		return at == "" || at == m.Point || strings.HasPrefix(at, strings.TrimSuffix(m.Point, "/")+"/")
	})
	if v.left || !on {
		return nil, v.absent("borrow volume")
	}
	l := &lease{volume: v, done: make(chan struct{})}
	v.leases[l] = true
	return l, nil
}

// Slow has Locate call wait before it looks.
func (v *Volume) Slow(wait func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.slow = wait
}

// Locate implements weir.Volume.
func (v *Volume) Locate(_ context.Context, dirs []weir.Handle) (map[weir.Handle]string, error) {
	v.mu.Lock()
	slow := v.slow
	v.mu.Unlock()
	if slow != nil {
		slow()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.left {
		return nil, v.absent("locate directories")
	}
	found := map[weir.Handle]string{}
	v.root.walk("/", func(n *node, at string) {
		if n.children != nil && slices.Contains(dirs, n.handle) {
			found[n.handle] = at
		}
	})
	return found, nil
}

func (n *node) walk(at string, see func(*node, string)) {
	see(n, at)
	for name, child := range n.children {
		child.walk(path.Join(at, name), see)
	}
}

func (v *Volume) absent(op string) error {
	return &weir.Error{Op: op, Kind: weir.KindAbsent, Path: v.info.Source, Err: errors.New("the volume is not mounted")}
}

// Borrowed returns how many leases are out.
func (v *Volume) Borrowed() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.leases)
}

// leave is the unmount: leases are revoked, and nothing is told any more.
func (v *Volume) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.left, v.info.Mounts = true, nil
	v.revokeLocked()
}

func (v *Volume) revokeLocked() {
	for l := range v.leases {
		l.revoke()
	}
}

// find returns the directory that holds name, the last element, and the entry if it exists.
func (v *Volume) find(name string) (dir *node, base string, entry *node, err error) {
	dir = v.root
	parent, base := path.Split(path.Clean("/" + name))
	for part := range strings.SplitSeq(strings.Trim(parent, "/"), "/") {
		if part == "" {
			continue
		}
		if dir = dir.children[part]; dir == nil || dir.children == nil {
			return nil, "", nil, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
		}
	}
	if base == "" {
		return v.root, ".", v.root, nil
	}
	return dir, base, dir.children[base], nil
}

// Handle returns the handle of name, which is empty or "/" for the root.
func (v *Volume) Handle(name string) (weir.Handle, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _, entry, err := v.find(name)
	if err == nil && entry == nil {
		err = &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return "", err
	}
	return entry.handle, nil
}

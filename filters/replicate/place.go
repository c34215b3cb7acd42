package replicate

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/policy"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// place is one part of the source: the tree that one mount shows at or below SOURCE. The volume may be
// away; the place and its replica stay.
type place struct {
	id     uint32
	parent *place // nil for the root of the source

	saving sync.Mutex // held while the index is told of it

	mu       sync.Mutex
	rel      string               // where it is, relative to SOURCE; "" for the root
	mountKey weir.Handle          // the covered directory, as a key of the parent's
	former   weir.Handle          // the one before that, which may have to be compared like any other; "" if there was none
	epoch    uint16               // counts the volumes that this place has shown; part of every key
	root     weir.Handle          // key of the root directory
	volume   weir.Volume          // nil while the volume is away
	came     time.Time            // when it did
	overdue  time.Time            // since when nobody has looked, although it is due; zero if that is not so
	covering bool                 // what is mounted in it is being found out; until then no unit looks at it
	holding  string               // why nothing is done although a volume is there; "" if it is followed
	doubt    weir.Remark          // that a volume will be held here which has its instance and is not looked at yet; zero if none will
	taken    bool                 // the volume stayed when its instance ended last: somebody has taken the filter from it
	excluded string               // the option that excludes the volume which stands there; "" if none does
	gone     bool                 // it was a directory of a volume, and is not where it was although the volume is
	beneath  time.Time            // since when something is known to lie in its bare mount point; zero if nothing does
	known    bool                 // whether a volume has been followed here before
	way      *way                 // to a source that is no mount; nil while it is not known
	strayed  uint64               // counts how often it may have changed
	merge    bool                 // what a former volume left on the replica is not deleted
	covered  map[weir.Handle]bool // directories on which volumes are mounted; true: their content is a place's

	// What stood here last, for the question whether it is the same that stands here now.
	mountRoot bool
	identity  weir.Identity

	foreign foreignSet // has its own lock
}

// at returns what is known of the place as it stands now. volume is nil while it is away, or held.
func (p *place) at() (rel string, volume weir.Volume, root weir.Handle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holding != "" {
		return p.rel, nil, p.root
	}
	return p.rel, p.volume, p.root
}

// wasIn reports whether the place was a directory of a volume, and no root of a mount, when it was followed last, and may
// have been one of the volume with that identity.
func (p *place) wasIn(id weir.Identity) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known && !p.mountRoot && policy.Identify(p.identity, id) != policy.MatchOther
}

// hasLeft reports whether the place was a directory of a volume, and is not where it was although the volume is.
func (p *place) hasLeft() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.volume == nil && p.gone
}

// exclude notes which option excludes the volume that stands in the place; none if that is empty.
func (p *place) exclude(by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.excluded = by
}

// isAway reports whether no volume is there.
func (p *place) isAway() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.volume == nil
}

// isCovering reports whether it is being found out what is mounted in the place.
func (p *place) isCovering() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.covering
}

// missing says why there is nothing that could be replicated.
func (p *place) missing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holding != "" {
		return fmt.Errorf("%w: %s", errHeld, p.holding)
	}
	return errAbsent
}

// isTaken reports whether somebody has taken the filter from the volume.
func (p *place) isTaken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.volume == nil && p.taken
}

// shows reports whether a volume is in the place, also if that is held.
func (p *place) shows(volume weir.Volume) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.volume != nil && p.volume.ID() == volume.ID()
}

// covers reports whether a volume is mounted on the directory of that key, and whether that volume has a
// place of its own, which the directory's content on the replica then belongs to.
func (p *place) covers(key weir.Handle) (covered, owned bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	owned, covered = p.covered[key]
	return covered, owned
}

// cover sets the directories on which volumes are mounted, and returns those that are no longer covered: what is in
// them was not looked at. With unsure, and while the volume is away, what was covered stays so.
func (p *place) cover(covered map[weir.Handle]bool, unsure bool) (bare []weir.Handle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, owned := range p.covered {
		if _, still := covered[key]; still || owned {
			continue
		}
		if !unsure && p.volume != nil {
			bare = append(bare, key)
			continue
		}
		if covered == nil {
			covered = make(map[weir.Handle]bool)
		}
		covered[key] = false
	}
	if len(bare) > 0 {
		p.foreign.clear() // What was below them counted as foreign.
	}
	p.covered, p.covering = covered, false
	return bare
}

// keys makes keys of what a place shows. It is a value: a session takes one at its start.
type keys struct{ epoch string }

func (p *place) keys() keys {
	p.mu.Lock()
	defer p.mu.Unlock()
	return keysOf(p.epoch)
}

func keysOf(epoch uint16) keys {
	return keys{string(binary.BigEndian.AppendUint16(nil, epoch))}
}

// Kinds of keys: the byte after the epoch.
const (
	keyHandle = 'h' // a file handle
	keyInode  = 'i' // an inode number, of a file with several names on a volume without handles
	keyPath   = 'p' // a digest of the parent's key, the name and the type, on a volume without handles
	keyRoot   = 'r' // the root of a volume without handles
)

func (k keys) ofHandle(h weir.Handle) weir.Handle {
	return weir.Handle(k.epoch+string(keyHandle)) + h
}

// of returns the key of an object that was seen at a name. On a volume without handles a directory has
// another key after a rename: there a rename is not recognised. What has another type than before is another object
// there, and so is a link or a device of another time, since what it is made of cannot be changed in place.
func (k keys) of(at replica.Name, o tree.Object) weir.Handle {
	if o.Handle != "" {
		return k.ofHandle(o.Handle)
	}
	if o.IsFile() && o.Nlink > 1 {
		return weir.Handle(k.epoch + string(keyInode) + string(binary.BigEndian.AppendUint64(nil, o.Ino)))
	}
	h := fnv.New128a()
	h.Write([]byte(at.Parent))
	h.Write([]byte{0})
	h.Write([]byte(at.Name))
	fmt.Fprint(h, "\x00", o.Type())
	if !o.IsFile() && !o.IsDir() {
		fmt.Fprint(h, " ", o.Rdev, o.Mtime)
	}
	return weir.Handle(k.epoch + string(keyPath) + string(h.Sum(nil)))
}

func (k keys) ofRoot(o tree.Object) weir.Handle {
	if o.Handle != "" {
		return k.ofHandle(o.Handle)
	}
	return weir.Handle(k.epoch + string(keyRoot))
}

// handle returns the file handle in a key of the present volume, if the key holds one.
func (k keys) handle(key weir.Handle) (weir.Handle, bool) {
	prefix := k.epoch + string(keyHandle)
	return key[min(len(prefix), len(key)):], strings.HasPrefix(string(key), prefix)
}

// former reports whether the key belongs to a volume that this place showed before.
func (k keys) former(key weir.Handle) bool {
	return !strings.HasPrefix(string(key), k.epoch)
}

// foreignSet remembers directories that are on the place's volume but no part of its tree, so that what
// happens in them costs one resolution. It holds two generations of a bounded size.
type foreignSet struct {
	mu            sync.Mutex
	young, mature map[weir.Handle]struct{}
}

const foreignGeneration = 32768

func (f *foreignSet) has(key weir.Handle) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.young[key]; ok {
		return true
	}
	_, ok := f.mature[key]
	if ok {
		f.addLocked(key)
	}
	return ok
}

func (f *foreignSet) add(key weir.Handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addLocked(key)
}

func (f *foreignSet) addLocked(key weir.Handle) {
	if len(f.young) >= foreignGeneration {
		f.mature, f.young = f.young, nil
	}
	if f.young == nil {
		f.young = make(map[weir.Handle]struct{})
	}
	f.young[key] = struct{}{}
}

// remove forgets a directory that is in the tree, and reports whether it was in the set.
func (f *foreignSet) remove(key weir.Handle) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, young := f.young[key]
	_, mature := f.mature[key]
	delete(f.young, key)
	delete(f.mature, key)
	return young || mature
}

// clear forgets everything: a directory was renamed into or out of the tree.
func (f *foreignSet) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.young, f.mature = nil, nil
}

package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/fd"
	"github.com/weirfs/weir/internal/sys/mount"
)

// Wanted says what is to be mounted.
type Wanted struct {
	Type    string
	Source  string // a device, or whatever the type takes
	Options string // as mount(8) takes them with -o, but for those that CheckOptions refuses
	Dir     string // absolute

	// Caller is the process whose mount namespace and root Source and Dir are of; 0 is this one.
	Caller int
}

// Coming is a file system that is mounted, but nowhere yet: nobody can change anything on it.
type Coming struct {
	w      *Watcher
	volume *volume
	wanted Wanted
	mount  foreign // that it will have

	mu       sync.Mutex
	detached *fd.FD // nil once it is attached or withdrawn
}

// Prepare makes a file system, and has it known as a volume with the mount that it will have, marked as Coming. The
// caller ends that by Attach or Withdraw. Run runs.
func (w *Watcher) Prepare(ctx context.Context, wanted Wanted) (*Coming, error) {
	if wanted.Caller == 0 {
		wanted.Caller = os.Getpid()
	}
	if err := wanted.CheckOptions(); err != nil {
		return nil, err
	}
	place, err := wanted.place()
	if err != nil {
		return nil, err
	}
	point := wanted.Dir
	namespace, err := wanted.namespace()
	if err == nil && namespace == (mount.Namespace{}) {
		point, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", place.Int())) // without symbolic links
	}
	if err := errors.Join(err, place.Close()); err != nil {
		return nil, wanted.failed(err)
	}
	attributes, options := mount.ParseOptions(wanted.Options)
	detached, err := w.within(ctx, question{of: wanted.Source}, func() (made *fd.FD, err error) {
		err = wanted.there(func() error {
			made, err = mount.MakeWith(wanted.Type, attributes, append(options, mount.Option{Name: "source", Value: wanted.Source})...)
			return err
		})
		return made, err
	})
	if err != nil {
		return nil, wanted.failed(err)
	}
	c := &Coming{w: w, wanted: wanted, detached: detached}
	if err := c.introduce(point, namespace); err != nil {
		return nil, wanted.failed(errors.Join(err, detached.Close()))
	}
	return c, nil
}

// introduce has the volume told.
func (c *Coming) introduce(point string, namespace mount.Namespace) error {
	entry, err := c.describe(point)
	if err != nil {
		return err
	}
	c.mount = foreign{entry, namespace}
	w := c.w
	w.looking.Lock()
	defer w.looking.Unlock()
	if err := w.lookOwn(); err != nil {
		return err
	}
	w.prune(entry.Device)
	w.mu.Lock()
	if w.state != running {
		w.mu.Unlock()
		return errEnded
	}
	id, told := w.model.introduce(c.mount)
	notices := w.carryOutLocked([]change{told})
	c.volume = w.volumes[id]
	c.volume.coming = append(c.volume.coming, c)
	w.mu.Unlock()
	w.guard(notices)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queueLocked(notices...)
	return nil
}

func (c *Coming) describe(point string) (entry mount.Entry, err error) {
	root, err := mount.OpenBelow(c.detached, ".", mount.Place)
	if err != nil {
		return entry, err
	}
	defer root.Close()
	device := mount.DeviceOf
	if c.wanted.Type == "btrfs" {
		device = mount.SuperDeviceOf
	}
	entry = mount.Entry{Root: "/", Point: point, FSType: c.wanted.Type, Source: c.wanted.Source, Options: c.wanted.Options}
	entry.Device, err = device(root)
	if err != nil {
		return entry, err
	}
	entry.ID, err = mount.IDOf(c.detached, c.w.unique())
	return entry, err
}

// Volume is the volume that will be shown.
func (c *Coming) Volume() weir.Volume { return c.volume }

// Mount is the id of the mount that will show it.
func (c *Coming) Mount() uint64 { return c.mount.ID }

// Attach shows the volume at its place. After an error it is not shown, and to be withdrawn.
func (c *Coming) Attach() error {
	place, err := c.wanted.place()
	if err != nil {
		return err
	}
	defer place.Close()
	c.mu.Lock()
	err = c.wanted.there(func() error { return mount.AttachOn(c.detached, place) })
	if err == nil {
		err = c.detached.Close() // it would keep what is mounted busy
		c.detached = nil
	}
	c.mu.Unlock()
	if err != nil {
		return c.wanted.failed(err)
	}
	c.shown()
	c.w.goRound() // also if its namespace was not known yet
	c.forget()
	return nil
}

// shown notes where a volume was seen first that has been mounted nowhere before.
func (c *Coming) shown() {
	if c.mount.namespace != (mount.Namespace{}) {
		return
	}
	was := c.w.describe([]mount.Entry{c.mount.Entry})
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if len(c.volume.was) == 0 {
		c.volume.was = was
	}
}

// Withdraw dissolves the file system.
func (c *Coming) Withdraw() {
	c.mu.Lock()
	if c.detached != nil {
		_ = c.detached.Close()
		c.detached = nil
	}
	c.mu.Unlock()
	c.forget()
}

// forget ends that the volume is coming: it is there, or it is not.
func (c *Coming) forget() {
	c.w.looking.Lock()
	defer c.w.looking.Unlock()
	if err := c.w.lookOwn(); err != nil {
		c.w.log.Warn("mounts cannot be looked at", "error", err)
	}
	c.w.mu.Lock()
	c.volume.coming = slices.DeleteFunc(c.volume.coming, func(other *Coming) bool { return other == c })
	c.w.mu.Unlock()
	c.w.apply(func() []change { return c.w.model.withdraw(c.volume.id, c.mount.ID) })
}

// open opens the root of what is coming, on a clone if the kernel makes one of it (Linux 6.15).
func (c *Coming) open(mode mount.Mode) (*fd.FD, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detached == nil {
		return nil, &weir.Error{Op: "reach a volume", Kind: weir.KindAbsent, Err: errHidden}
	}
	clone, err := mount.CloneOf(c.detached)
	if errors.Is(err, syscall.EINVAL) {
		return mount.OpenBelow(c.detached, ".", mode)
	}
	if err != nil {
		return nil, err
	}
	defer clone.Close()
	return mount.OpenBelow(clone, ".", mode)
}

// openComing opens what weir is about to mount. It returns nil if that is nothing of v.
func (v *volume) openComing(mode mount.Mode) (*fd.FD, error) {
	v.w.mu.Lock()
	coming := slices.Clone(v.coming)
	v.w.mu.Unlock()
	for _, c := range coming {
		if root, err := c.open(mode); weir.KindOf(err) != weir.KindAbsent {
			return root, err
		}
	}
	return nil, nil
}

// place opens the directory to mount on.
func (wanted Wanted) place() (*fd.FD, error) {
	if !filepath.IsAbs(wanted.Dir) {
		return nil, &weir.Error{Op: "mount on", Kind: weir.KindRefused, Path: wanted.Dir, Err: errRelative}
	}
	place, err := mount.OpenPlace(wanted.Caller, wanted.Dir)
	hint := ""
	switch {
	case err == nil:
		return place, nil
	case errors.Is(err, syscall.ENOENT):
		hint = "make it with mkdir"
	case errors.Is(err, syscall.ENOTDIR):
		hint = "weir mounts on directories"
	}
	return nil, &weir.Error{Op: "mount on", Kind: weir.KindRefused, Path: wanted.Dir, Err: err, Hint: hint}
}

// namespace returns the caller's mount namespace, or nothing if it is weir's own.
func (wanted Wanted) namespace() (mount.Namespace, error) {
	file, err := mount.OpenNamespaceOf(wanted.Caller)
	if err != nil {
		return mount.Namespace{}, err
	}
	defer file.Close()
	namespace, err := mount.DescribeNamespace(file)
	if err != nil {
		return mount.Namespace{}, err
	}
	if own, err := mount.OwnInode(); err != nil || own == namespace.Inode {
		return mount.Namespace{}, err
	}
	return namespace, nil
}

// there runs fn in the caller's mount namespace.
func (wanted Wanted) there(fn func() error) error {
	namespace, err := wanted.namespace()
	if err != nil {
		return err
	}
	if namespace == (mount.Namespace{}) {
		return fn()
	}
	file, err := mount.OpenNamespaceOf(wanted.Caller)
	if err != nil {
		return err
	}
	defer file.Close()
	return mount.In(file, fn)
}

// failed says what could not be mounted, why, and what to do.
func (wanted Wanted) failed(err error) error {
	e := &weir.Error{Op: "mount", Kind: weir.KindRefused, Path: wanted.Source, Err: err}
	var made *mount.MakeError
	stage := mount.StageMount
	if errors.As(err, &made) {
		stage = made.Stage
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Err, e.Hint = weir.KindFailed, errors.New("it does not answer"), "see whether the device works"
	case errors.Is(err, syscall.EPERM):
		e.Hint = "weir needs CAP_SYS_ADMIN to mount: run it as root"
	case stage == mount.StageType && errors.Is(err, syscall.ENODEV):
		e.Err = fmt.Errorf("the kernel knows no type %s", weir.QuotePath(wanted.Type))
		e.Hint = "see /proc/filesystems for those that it knows, or load the module of this one"
	case stage == mount.StageOption:
		e.Hint = "see mount(8) for the options that " + wanted.Type + " takes"
	case errors.Is(err, syscall.EBUSY):
		e.Hint = "it is in use: findmnt --source shows where it is mounted, lsblk what stands on it"
	case stage == mount.StageCreate && Deviceless(wanted.Type) && (errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EINVAL)):
		e.Hint = "what it is made of, or an option, is wrong or names what is not there: dmesg may tell which"
	case stage == mount.StageCreate && errors.Is(err, syscall.ENOENT) && isDevice(wanted.Source):
		e.Hint = "the device is there, and so an option names what is not, such as a subvolume: dmesg may tell which"
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENOTBLK):
		e.Hint = "name a block device; losetup --find --show makes one of a file"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		e.Hint = "it is protected from writing: mount it with -o ro"
	case stage == mount.StageCreate && errors.Is(err, syscall.EINVAL):
		e.Hint = "it holds another type of file system, or an option is wrong: blkid shows the type"
	default:
		e.Kind = weir.KindFailed
	}
	return e
}

// Deviceless tells whether the kernel knows that a type needs no device.
func Deviceless(fsType string) bool {
	types, _ := os.ReadFile("/proc/filesystems") // What is not known there may have one.
	return slices.Contains(strings.Split(string(types), "\n"), "nodev\t"+fsType)
}

func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeDevice != 0
}

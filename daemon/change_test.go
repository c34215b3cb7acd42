package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// change is one thing that a user does to a tree. It is prepared before it is mirrored, and done while a mirror
// runs, and again, in a directory of its own, while none does.
type change struct {
	name    string
	on      string // source file systems that have it; "" for all
	prepare func(d dir) error
	do      func(d dir) error
	keeps   map[string]string // old path: new path of objects that stay the same inode on the replica
}

// dir is the directory in which a change takes place.
type dir string

func (d dir) at(name string) string { return filepath.Join(string(d), name) }

func (d dir) write(name, text string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(d.at(name)), 0o755), os.WriteFile(d.at(name), []byte(text), 0o644))
}

// file writes a file of 64 KiB, of which every page is another.
func (d dir) file(name string) error {
	var b bytes.Buffer
	for n := 0; b.Len() < 64<<10; n++ {
		fmt.Fprintf(&b, "%s line %d\n", name, n)
	}
	return d.write(name, b.String())
}

// open runs fn on an open file.
func (d dir) open(name string, fn func(fd int) error) error {
	fd, err := unix.Open(d.at(name), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(fn(fd), unix.Close(fd))
}

func (d dir) run(program string, args ...string) error {
	command := exec.Command(program, args...)
	command.Dir = string(d)
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %q: %w\n%s", program, args, err, out)
	}
	return nil
}

func (d dir) fallocate(mode uint32, at, length int64) func(fd int) error {
	return func(fd int) error { return unix.Fallocate(fd, mode, at, length) }
}

// some prepares files by name; a name that ends with a slash is a directory.
func some(names ...string) func(d dir) error {
	return func(d dir) error {
		for _, name := range names {
			if strings.HasSuffix(name, "/") {
				if err := os.MkdirAll(d.at(name), 0o755); err != nil {
					return err
				}
			} else if err := d.file(name); err != nil {
				return err
			}
		}
		return nil
	}
}

func renames(flags uint, pairs ...string) func(d dir) error {
	return func(d dir) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := unix.Renameat2(unix.AT_FDCWD, d.at(pairs[i]), unix.AT_FDCWD, d.at(pairs[i+1]), flags); err != nil {
				return err
			}
		}
		return nil
	}
}

func all(steps ...func(d dir) error) func(d dir) error {
	return func(d dir) error {
		for _, step := range steps {
			if err := step(d); err != nil {
				return err
			}
		}
		return nil
	}
}

// each runs fn on each name.
func each(fn func(path string) error, names ...string) func(d dir) error {
	return func(d dir) error {
		for _, name := range names {
			if err := fn(d.at(name)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
}

func shell(line string) func(d dir) error {
	return func(d dir) error { return d.run("sh", "-ec", line) }
}

// setTimes gives a name times that have never been, without following it.
func setTimes(path string) error {
	at := unix.Timespec{Sec: 1234567890, Nsec: 123456789}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}

func setXattrs(names ...string) func(path string) error {
	return func(path string) error {
		for _, name := range names {
			if err := unix.Lsetxattr(path, name, []byte("\x00 value of "+name), 0); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
}

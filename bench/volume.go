package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// volume is a loop-mounted file system.
type volume struct{ fs, dir, image string }

func mountNew(s settings, fs, name string) (*volume, error) {
	v := &volume{fs, filepath.Join(s.dir, name), filepath.Join(s.dir, name+".img")}
	force, options := "-f", "loop"
	if fs == "ext4" {
		force, options = "-F", "loop,noinit_itable" // what the kernel writes by itself is nobody's
	}
	for _, command := range [][]string{
		{"mkdir", "-p", v.dir},
		{"truncate", "-s", "16G", v.image},
		{"mkfs." + fs, "-q", force, v.image},
		{"mount", "-o", options, v.image, v.dir},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%q: %w: %s", command, err, out)
		}
	}
	return v, nil
}

func (v *volume) close() error {
	var err error
	for range 100 {
		if err = unix.Unmount(v.dir, 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.Join(err, os.Remove(v.image))
}

// sync makes everything on the volume durable.
func (v *volume) sync() error {
	root, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return unix.Syncfs(int(root.Fd()))
}

// written returns how many bytes have been written to the volume's device.
func (v *volume) written() (int64, error) {
	if err := v.sync(); err != nil {
		return 0, err
	}
	device, err := exec.Command("findmnt", "-n", "-o", "SOURCE", "--target", v.dir).Output()
	if err != nil {
		return 0, fmt.Errorf("findmnt: %w", err)
	}
	text, err := os.ReadFile("/sys/block/" + filepath.Base(strings.TrimSpace(string(device))) + "/stat")
	if err != nil {
		return 0, err
	}
	// Documentation/block/stat.rst: the seventh field counts sectors of 512 bytes.
	sectors, err := strconv.ParseInt(strings.Fields(string(text))[6], 10, 64)
	return sectors * 512, err
}

// pair is a source and a target that have just been made.
type pair struct{ source, target *volume }

// withPair calls fn with a new source and target of type fs.
func withPair(s settings, fs string, fn func(p pair) error) error {
	source, err := mountNew(s, fs, "source")
	if err != nil {
		return err
	}
	target, err := mountNew(s, fs, "target")
	if err != nil {
		return errors.Join(err, source.close())
	}
	return errors.Join(fn(pair{source, target}), source.close(), target.close())
}

// from and to are the trees: directories, so that lost+found is in nobody's way.
func (p pair) from() string { return filepath.Join(p.source.dir, "tree") }
func (p pair) to() string   { return filepath.Join(p.target.dir, "replica") }

// fill makes files of 4 KiB below dir, a hundred to a directory.
func fill(dir string, files int) error {
	content := make([]byte, 4096)
	for i := range files {
		sub := filepath.Join(dir, fmt.Sprintf("d%04d", i/100))
		if i%100 == 0 {
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
		}
		copy(content, strconv.Itoa(i))
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%02d", i%100)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// dropCaches makes the next reader of the source read from the device.
func dropCaches() error {
	unix.Sync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const oddNames = "new\nline|\xff\xfe\x80|-rf|*|  |\x1b[31m|\u202e|a:b?\"<>|.weir|lost+found|" // and one of 255 bytes

func names() []string {
	return append(strings.Split(oddNames[:len(oddNames)-1], "|"), strings.Repeat("n", 255))
}

func changes() []change {
	list := contentChanges()
	list = append(list, nameChanges()...)
	list = append(list, attributeChanges()...)
	return append(list, kindChanges()...)
}

func contentChanges() []change {
	return []change{
		{name: "create", do: some("f", "d/e/f", "empty/")},
		{name: "empty file", do: func(d dir) error { return d.write("f", "") }},
		{name: "overwrite", prepare: some("f"), do: func(d dir) error { return d.write("f", "short") }},
		{name: "write in place", prepare: some("f"), do: func(d dir) error {
			return d.open("f", func(fd int) error { _, err := unix.Pwrite(fd, []byte("HERE"), 30_000); return err })
		}},
		{name: "append", prepare: some("f"), do: func(d dir) error {
			return d.open("f", func(fd int) error { _, err := unix.Pwrite(fd, []byte("more"), 64<<10+20); return err })
		}},
		{name: "truncate", prepare: some("f", "g", "h"), do: func(d dir) error {
			return errors.Join(os.Truncate(d.at("f"), 5000), os.Truncate(d.at("g"), 0), os.Truncate(d.at("h"), 1<<20))
		}},
		{name: "fallocate", prepare: some("f", "g"), do: func(d dir) error {
			return errors.Join(d.open("f", d.fallocate(0, 0, 200<<10)),
				d.open("g", d.fallocate(unix.FALLOC_FL_KEEP_SIZE, 0, 200<<10)))
		}},
		{name: "punch", prepare: some("f"), do: func(d dir) error {
			return d.open("f", d.fallocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 4096, 20480))
		}},
		{name: "zero range", on: "ext4 xfs btrfs", prepare: some("f"), do: func(d dir) error {
			return d.open("f", d.fallocate(unix.FALLOC_FL_ZERO_RANGE, 4000, 20480))
		}},
		{name: "collapse range", on: "ext4 xfs", prepare: some("f"), do: func(d dir) error {
			return d.open("f", d.fallocate(unix.FALLOC_FL_COLLAPSE_RANGE, 4096, 8192))
		}},
		{name: "insert range", on: "ext4 xfs", prepare: some("f"), do: func(d dir) error {
			return d.open("f", d.fallocate(unix.FALLOC_FL_INSERT_RANGE, 4096, 8192))
		}},
		{name: "sparse", do: func(d dir) error {
			return errors.Join(d.open("f", func(fd int) error {
				_, err := unix.Pwrite(fd, []byte("island"), 20<<20)
				return errors.Join(err, unix.Ftruncate(fd, 40<<20))
			}), d.open("hole", func(fd int) error { return unix.Ftruncate(fd, 9<<20) }))
		}},
		{name: "reflink", on: "xfs btrfs", prepare: some("f", "g"), do: func(d dir) error {
			return errors.Join(d.run("cp", "--reflink=always", "f", "h"), d.run("cp", "--reflink=always", "f", "g"))
		}},
		{name: "copy_file_range", prepare: some("f", "g"), do: func(d dir) error {
			return d.open("f", func(from int) error {
				return d.open("g", func(to int) error {
					at, off := int64(100), int64(7000)
					_, err := unix.CopyFileRange(from, &at, to, &off, 5000, 0)
					return err
				})
			})
		}},
		{name: "O_TMPFILE", prepare: some("d/"), do: func(d dir) error {
			fd, err := unix.Open(d.at("d"), unix.O_TMPFILE|unix.O_RDWR, 0o640)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			_, err = unix.Write(fd, []byte("without a name at first"))
			return errors.Join(err, unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, d.at("d/f"), unix.AT_SYMLINK_FOLLOW))
		}},
		{name: "times kept by the writer", prepare: some("f"), do: func(d dir) error {
			info, err := os.Stat(d.at("f"))
			if err != nil {
				return err
			}
			err = d.open("f", func(fd int) error { _, err := unix.Pwrite(fd, []byte("SAME TIMES"), 5000); return err })
			return errors.Join(err, os.Chtimes(d.at("f"), info.ModTime(), info.ModTime()))
		}},
	}
}

func nameChanges() []change {
	return []change{
		{name: "rename", prepare: some("f"), do: renames(0, "f", "g"), keeps: map[string]string{"f": "g"}},
		{name: "rename over", prepare: some("f", "g"), do: renames(0, "f", "g"), keeps: map[string]string{"f": "g"}},
		{name: "rename across", prepare: some("a/f", "b/"), do: renames(0, "a/f", "b/g"), keeps: map[string]string{"a/f": "b/g"}},
		{name: "save", prepare: some("f"), do: all(some("f.tmp"), renames(0, "f.tmp", "f"))},
		{name: "save with backup", prepare: some("f"), do: all(renames(0, "f", "f~"), some("f")), keeps: map[string]string{"f": "f~"}},
		{
			name: "exchange files", prepare: some("f", "g"), do: renames(unix.RENAME_EXCHANGE, "f", "g"),
			keeps: map[string]string{"f": "g", "g": "f"},
		},
		{
			name: "exchange file and directory", prepare: some("f", "d/g"), do: renames(unix.RENAME_EXCHANGE, "f", "d"),
			keeps: map[string]string{"f": "d", "d": "f", "d/g": "f/g"},
		},
		{
			name: "exchange trees", prepare: some("a/x/1", "b/y/2"), do: renames(unix.RENAME_EXCHANGE, "a/x", "b/y"),
			keeps: map[string]string{"a/x/1": "b/y/1", "b/y/2": "a/x/2", "a/x": "b/y"},
		},
		{
			name: "rotate", prepare: some("1", "2", "3"), do: renames(0, "3", "t", "2", "3", "1", "2", "t", "1"),
			keeps: map[string]string{"1": "2", "2": "3", "3": "1"},
		},
		{
			name: "rename tree", prepare: some("a/t/1/2/f", "a/t/g", "b/"), do: renames(0, "a/t", "b/u"),
			keeps: map[string]string{"a/t": "b/u", "a/t/g": "b/u/g", "a/t/1": "b/u/1", "a/t/1/2/f": "b/u/1/2/f"},
		},
		{
			name: "rename tree and change in it", prepare: some("a/t/1/2/f", "a/t/1/g", "b/"),
			do:    all(renames(0, "a/t", "b/u"), some("b/u/1/new"), renames(0, "b/u/1/g", "b/u/moved"), each(os.Remove, "b/u/1/2/f")),
			keeps: map[string]string{"a/t": "b/u", "a/t/1": "b/u/1", "a/t/1/g": "b/u/moved"},
		},
		{
			name: "parent into child", prepare: some("a/b/f", "a/g"), do: renames(0, "a/b", "b", "a", "b/a"),
			keeps: map[string]string{"a": "b/a", "a/b": "b", "a/b/f": "b/f", "a/g": "b/a/g"},
		},
		{name: "rename over empty directory", prepare: some("a/f", "b/"), do: renames(0, "a", "b"), keeps: map[string]string{"a/f": "b/f"}},
		{name: "out of the tree and back", prepare: some("f"), do: func(d dir) error {
			out := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(string(d)))), "outside")
			return errors.Join(os.Rename(d.at("f"), out), os.Rename(out, d.at("g")))
		}},
		{
			name: "link", prepare: some("f", "d/"), do: links("f", "g", "f", "d/h"),
			keeps: map[string]string{"f": "g"},
		},
		{
			name: "link of a link", prepare: all(some("f"), links("f", "g")),
			do: all(links("g", "h"), each(os.Remove, "f")), keeps: map[string]string{"g": "h"},
		},
		{name: "write through a link", prepare: all(some("f", "d/"), links("f", "d/g")), do: func(d dir) error { return d.write("f", "both") }},
		{name: "save over one link", prepare: all(some("f"), links("f", "g")), do: all(some("t"), renames(0, "t", "f")), keeps: map[string]string{"g": "g"}},
		{name: "link over", prepare: some("f", "g"), do: all(each(os.Remove, "g"), links("f", "g")), keeps: map[string]string{"f": "g"}},
		{name: "unlink one link", prepare: all(some("f"), links("f", "g")), do: each(os.Remove, "f"), keeps: map[string]string{"g": "g"}},
		{name: "links of a symlink and a FIFO", do: all(symlinks("text", "s"), each(fifo, "p"), links("s", "s2", "p", "p2"))},
		{name: "unlink", prepare: some("f", "d/g", "e/h"), do: all(each(os.Remove, "f", "d/g"), each(os.RemoveAll, "e"))},
		{name: "unlink and make anew", prepare: some("f"), do: all(each(os.Remove, "f"), func(d dir) error { return d.write("f", "anew") })},
		{name: "remove and make a tree anew", prepare: some("t/1/f", "t/2/g"), do: all(each(os.RemoveAll, "t"), some("t/1/f", "t/3/h"))},
		{name: "names", do: func(d dir) error {
			for _, name := range names() {
				if err := errors.Join(d.file("files/"+name), d.file("directories/"+name+"/f")); err != nil {
					return err
				}
			}
			return nil
		}},
		{name: "rename names", prepare: func(d dir) error { return some(names()...)(d) }, do: func(d dir) error {
			for i, name := range names() {
				if err := os.Rename(d.at(name), d.at(fmt.Sprintf("\t\xf0%d", i))); err != nil {
					return err
				}
			}
			return nil
		}},
	}
}

func attributeChanges() []change {
	either := []string{"f", "d"}
	both := some("f", "d/g")
	return []change{
		{name: "mode", prepare: both, do: all(
			each(func(p string) error { return unix.Chmod(p, 0o7751) }, either...), each(func(p string) error { return unix.Chmod(p, 0) }, "d/g"),
		)},
		{name: "owner", prepare: all(both, symlinks("text", "s")), do: each(func(p string) error { return os.Lchown(p, 12345, 54321) }, "f", "d", "s")},
		{name: "owner and setuid", prepare: some("f"), do: all(
			each(func(p string) error { return os.Lchown(p, 1000, 1000) }, "f"), each(func(p string) error { return unix.Chmod(p, 0o6755) }, "f"),
		)},
		{name: "user xattr", prepare: both, do: each(setXattrs("user.a", "user.\xff\n"), either...)},
		{name: "trusted xattr", prepare: both, do: each(setXattrs("trusted.a"), either...)},
		{name: "security xattr", prepare: both, do: each(setXattrs("security.weir"), either...)},
		{name: "xattr of a symlink", prepare: symlinks("text", "s"), do: each(setXattrs("trusted.a"), "s")},
		{name: "xattr removed and changed", prepare: all(both, each(setXattrs("user.a", "user.b"), either...)), do: each(func(p string) error {
			return errors.Join(unix.Removexattr(p, "user.a"), unix.Setxattr(p, "user.b", nil, unix.XATTR_REPLACE))
		}, either...)},
		{name: "large xattr", prepare: both, do: each(func(p string) error { return unix.Setxattr(p, "user.large", bytes.Repeat([]byte("x"), 700), 0) }, either...)},
		{name: "access ACL", prepare: both, do: shell("setfacl -m u:7:rw,g:8:x,m::rwx f d")},
		{name: "default ACL", prepare: both, do: shell("setfacl -d -m u:7:rw,m::rx d; echo inherits > d/h; mkdir d/i")},
		{name: "ACL removed", prepare: all(both, shell("setfacl -m u:7:rw f d; setfacl -d -m u:9:r d")), do: shell("setfacl -b f; setfacl -k d")},
		{name: "ACL and mode", prepare: all(both, shell("setfacl -m u:7:rw f d")), do: shell("chmod 604 f; chmod 2750 d")},
		{name: "capability", prepare: some("f"), do: shell("setcap cap_net_raw+ep f")},
		{name: "capability and owner", prepare: some("f"), do: shell("chown 7:8 f; setcap cap_net_raw+ep f; chmod 4755 f")},
		{name: "capability lost by writing", prepare: all(some("f"), shell("setcap cap_net_raw+ep f")), do: shell("echo more >> f")},
		{name: "times", prepare: all(both, symlinks("text", "s"), each(fifo, "p")), do: each(setTimes, "d/g", "f", "d", "s", "p")},
		{name: "time of a directory after a change in it", prepare: both, do: all(some("d/new"), each(os.Remove, "d/g"), each(setTimes, "d"))},
		{name: "times before 1970", prepare: both, do: each(func(p string) error { return os.Chtimes(p, time.Unix(-1000, 7), time.Unix(-1000, 7)) }, "d/g", "f", "d")},
		{name: "immutable", on: "ext4 xfs btrfs", prepare: both, do: shell("echo last > f; chattr +i f; touch d/h; chattr +a d")},
	}
}

func kindChanges() []change {
	return []change{
		{name: "kinds", do: all(
			symlinks("text", "s", strings.Repeat("x/", 400), "long", "../../../../etc/passwd", "out"), each(fifo, "p"), each(listenSocket, "sock"),
			each(func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o620, int(unix.Mkdev(1, 3))) }, "null"),
			each(func(p string) error { return unix.Mknod(p, unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))) }, "block"),
		)},
		{name: "other text of a symlink", prepare: symlinks("one", "s"), do: all(each(os.Remove, "s"), symlinks("two", "s"))},
		{
			name: "other number of a device", prepare: each(func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) }, "n"),
			do: all(each(os.Remove, "n"), each(func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) }, "n")),
		},
		{name: "file to directory", prepare: some("f"), do: all(each(os.Remove, "f"), some("f/g/h"))},
		{name: "directory to file", prepare: some("d/e/f"), do: all(each(os.RemoveAll, "d"), some("d"))},
		{name: "there and back", prepare: some("f", "d/g"), do: all(each(os.RemoveAll, "f", "d"), some("f/x", "d"), each(os.RemoveAll, "f", "d"), some("f", "d/g"))},
		{name: "symlink to directory", prepare: some("d/f"), do: all(renames(0, "d", "e"), symlinks("e", "d")), keeps: map[string]string{"d": "e", "d/f": "e/f"}},
		{name: "file to symlink to FIFO", prepare: some("f", "g"), do: all(each(os.Remove, "f", "g"), symlinks("g", "f"), each(fifo, "g"))},
		{name: "subvolume", on: "btrfs", prepare: some("d/"), do: shell("btrfs -q subvolume create d/v; mkdir -p d/v/e; echo in > d/v/e/f; btrfs -q subvolume snapshot d/v d/w; echo later > d/w/e/f; echo new > d/w/g")},
		{
			name: "snapshot of nested subvolumes", on: "btrfs", prepare: some("d/"),
			do: shell("btrfs -q subvolume create d/v; btrfs -q subvolume create d/v/a; btrfs -q subvolume create d/v/b; echo in > d/v/a/f; btrfs -q subvolume snapshot d/v d/w; mv d/w d/x; rmdir d/x/b"),
		},
		{
			name: "subvolume changed", on: "btrfs", prepare: shell("btrfs -q subvolume create v; echo in > v/f; echo out > g; btrfs -q subvolume create w; echo x > w/x"),
			do: shell("echo again > v/f; mkdir v/d; echo 1 > v/d/1; mv g v/g; mv v renamed; btrfs -q subvolume delete w"),
		},
	}
}

// links gives files further names; symlinks makes symbolic links, each after its text.
func links(pairs ...string) func(d dir) error {
	return func(d dir) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := os.Link(d.at(pairs[i]), d.at(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	}
}

func symlinks(pairs ...string) func(d dir) error {
	return func(d dir) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := os.Symlink(pairs[i], d.at(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	}
}

func fifo(path string) error { return unix.Mkfifo(path, 0o640) }

func listenSocket(path string) error {
	// A relative name, since those of sockets are short.
	return dir(filepath.Dir(path)).run("python3", "-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", filepath.Base(path))
}

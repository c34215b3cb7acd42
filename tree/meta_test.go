package tree

import (
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/xattr"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/replica"
)

// capNetRaw is a version 2 file capability: cap_net_raw=ep.
const capNetRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func acl(group uint16) string {
	return xattr.EncodeACL([]xattr.ACLEntry{
		{Tag: xattr.Owner, Perm: 7},
		{Tag: xattr.User, Perm: 5, ID: 4711},
		{Tag: xattr.GroupOwner, Perm: group},
		{Tag: xattr.Mask, Perm: 5},
		{Tag: xattr.Other, Perm: 1},
	})
}

func wanted(typ uint32) replica.Attr {
	return replica.Attr{Mode: typ | 0o6751, UID: 1234, GID: 5678, Mtime: replica.Time{Sec: 1_000_000_001, Nsec: 123_456_789}}
}

func TestSetMetaOnEveryType(t *testing.T) {
	types := map[string]uint32{
		"file": replica.TypeFile, "dir": replica.TypeDir, "link": replica.TypeLink,
		"fifo": replica.TypeFIFO, "char": replica.TypeChar, "block": replica.TypeBlock, "socket": replica.TypeSocket,
	}
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		d := root(t, v.Dir)
		for name, typ := range types {
			switch typ {
			case replica.TypeDir:
				must(t, d.Mkdir(name))
			case replica.TypeLink:
				must(t, d.Symlink("nowhere", name))
			default:
				must(t, d.Mknod(name, typ|0o600, unix.Mkdev(1, 3)))
			}
			want := wanted(typ)
			x := Xattrs{"trusted.a": "1", "security.b": "\x00\xff"}
			if typ == replica.TypeFile || typ == replica.TypeDir {
				x["user.c"] = ""
			}
			if typ != replica.TypeLink {
				x[accessACL] = acl(5)
			}
			if typ == replica.TypeDir {
				x[defaultACL] = acl(4)
			}
			if typ == replica.TypeFile {
				x[capability] = capNetRaw
			}
			for range 2 { // the second time nothing differs
				if u, err := d.SetMeta(name, want, x, MetaOptions{Times: true}); err != nil || len(u) > 0 {
					t.Fatalf("%s: %v, %v", name, u, err)
				}
			}
			o := got[Object](t)(d.Lookup(name))
			if typ == replica.TypeLink {
				want.Mode = o.Mode
			}
			if o.Mode != want.Mode || o.UID != want.UID || o.GID != want.GID || o.Mtime != want.Mtime {
				t.Errorf("%s is %+v, want %+v", name, o.Attr, want)
			}
			if have := got[Xattrs](t)(d.Xattrs(name)); !maps.Equal(have, x) || have.Digest() != x.Digest() {
				t.Errorf("%s has %q, want %q", name, have, x)
			}

			// Another owner: what chown clears must come back.
			want.UID, want.Mode = 4321, want.Mode&^0o1
			x["trusted.a"] = "2"
			delete(x, "security.b")
			if typ != replica.TypeLink {
				delete(x, accessACL)
			}
			if u, err := d.SetMeta(name, want, x, MetaOptions{Times: true}); err != nil || len(u) > 0 {
				t.Fatalf("%s: %v, %v", name, u, err)
			}
			o = got[Object](t)(d.Lookup(name))
			if typ != replica.TypeLink && o.Mode != want.Mode || o.UID != want.UID {
				t.Errorf("%s is %+v, want %+v", name, o.Attr, want)
			}
			if have := got[Xattrs](t)(d.Xattrs(name)); !maps.Equal(have, x) {
				t.Errorf("%s has %q, want %q", name, have, x)
			}
		}
	})
}

func TestSetMetaOfTheDirectoryItself(t *testing.T) {
	d := root(t, voltest.New(t, "xfs").Dir)
	want := wanted(replica.TypeDir)
	if u, err := d.SetMeta("", want, Xattrs{"user.a": "1"}, MetaOptions{Times: true}); err != nil || len(u) > 0 {
		t.Fatal(u, err)
	}
	o := got[Object](t)(d.Self())
	if x := got[Xattrs](t)(d.Xattrs("")); x["user.a"] != "1" || o.Mode != want.Mode || o.Mtime != want.Mtime || o.UID != want.UID {
		t.Errorf("%+v %q", o, x)
	}
}

func TestSetMetaChangesOnlyWhatDiffers(t *testing.T) {
	d := root(t, voltest.New(t, "ext4").Dir)
	f := got[*File](t)(d.CreateTemp("file"))
	defer f.Close()
	want, x := wanted(replica.TypeFile), Xattrs{"user.a": "1", accessACL: acl(5), capability: capNetRaw}
	if u, err := f.SetMeta(want, x, MetaOptions{Times: true}); err != nil || len(u) > 0 {
		t.Fatal(u, err)
	}
	before := got[Object](t)(f.Stat())
	for _, options := range []MetaOptions{{Times: true}, {}} {
		if _, err := d.SetMeta("file", want, x, options); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.SetMeta("file", want, nil, MetaOptions{Times: true}); err != nil {
		t.Fatal(err)
	}
	if after := got[Object](t)(f.Stat()); after != before {
		t.Errorf("changed from %+v to %+v", before, after)
	}
}

func TestPrivilegesNeedTheirOwner(t *testing.T) {
	d := root(t, voltest.New(t, "ext4").Dir)
	for name, test := range map[string]struct {
		options MetaOptions
		mode    uint32
		capable bool
	}{
		"all":     {MetaOptions{}, 0o6751, true},
		"none":    {MetaOptions{NoPrivileges: true}, 0o0751, false},
		"noowner": {MetaOptions{NoOwner: true}, 0o0751, true},
	} {
		f := got[*File](t)(d.CreateTemp(name))
		f.Close()
		x := Xattrs{capability: capNetRaw}
		if _, err := d.SetMeta(name, wanted(replica.TypeFile), x, test.options); err != nil {
			t.Fatal(err)
		}
		o := got[Object](t)(d.Lookup(name))
		_, capable := got[Xattrs](t)(d.Xattrs(name))[capability]
		if o.Perm() != test.mode || capable != test.capable {
			t.Errorf("%s: mode %o, capability %v", name, o.Perm(), capable)
		}
	}
	// Taken away where they were.
	if _, err := d.SetMeta("all", wanted(replica.TypeFile), Xattrs{capability: capNetRaw}, MetaOptions{NoPrivileges: true}); err != nil {
		t.Fatal(err)
	}
	if o := got[Object](t)(d.Lookup("all")); o.Perm() != 0o751 || len(got[Xattrs](t)(d.Xattrs("all"))) > 0 {
		t.Errorf("mode %o", o.Perm())
	}
}

func TestSetMetaRefusesAnotherObject(t *testing.T) {
	dir := t.TempDir()
	d := root(t, dir)
	shell(t, dir, "echo x > file; ln -s file link; mkdir dir")
	file, other := got[Object](t)(d.Lookup("file")), got[Object](t)(d.Lookup("dir"))
	for name, o := range map[string]MetaOptions{"link": {}, "dir": {}, "file": {Expect: other.Handle}} {
		if _, err := d.SetMeta(name, file.Attr, nil, o); !errors.Is(err, ErrReplaced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.SetMeta("file", file.Attr, nil, MetaOptions{Expect: file.Handle}); err != nil {
		t.Error(err)
	}
}

func TestUnstored(t *testing.T) {
	for _, fs := range []string{"ext4", "btrfs"} {
		t.Run("xattr too large for "+fs, func(t *testing.T) {
			d := root(t, voltest.New(t, fs).Dir)
			must(t, d.Mkdir("dir"))
			u, err := d.SetMeta("dir", wanted(replica.TypeDir), Xattrs{"user.big": strings.Repeat("x", 60000)}, MetaOptions{})
			if err != nil || u.String() != "user.big: the attribute is too large for the file system" {
				t.Error(u, err)
			}
		})
	}
	t.Run("xattr too large among others", func(t *testing.T) {
		d := root(t, voltest.New(t, "ext4").Dir)
		must(t, d.Mkdir("dir"))
		want := wanted(replica.TypeDir)
		x := Xattrs{"user.big": strings.Repeat("x", 60000), "user.small": "1", "btrfs.compression": "zstd"}
		u, err := d.SetMeta("dir", want, x, MetaOptions{Times: true})
		if err != nil || len(u) != 2 {
			t.Fatal(u, err)
		}
		for _, r := range u {
			if r.Attribute == "user.big" && !errors.Is(r.Err, syscall.ENOSPC) || r.Attribute == "user.small" {
				t.Errorf("%v", u)
			}
		}
		o := got[Object](t)(d.Lookup("dir"))
		if have := got[Xattrs](t)(d.Xattrs("dir")); !maps.Equal(have, Xattrs{"user.small": "1"}) || o.Mode != want.Mode || o.Mtime != want.Mtime {
			t.Errorf("%+v %q", o, have)
		}
	})
	t.Run("no ACLs", func(t *testing.T) {
		d := root(t, voltest.New(t, "btrfs", voltest.Data("noacl")).Dir)
		must(t, d.Mkdir("dir"))
		// The list gives the group nothing; the bits in its place are the mask.
		want := wanted(replica.TypeDir)
		u, err := d.SetMeta("dir", want, Xattrs{accessACL: acl(0)}, MetaOptions{})
		if err != nil || len(u) != 2 || u[0].Attribute != accessACL || u[1].Attribute != "mode" {
			t.Fatal(u, err)
		}
		if o := got[Object](t)(d.Lookup("dir")); o.Perm() != 0o6701 {
			t.Errorf("mode %o", o.Perm())
		}
	})
	t.Run("times out of range", func(t *testing.T) {
		d := root(t, voltest.New(t, "ext4", voltest.Mkfs("-I", "128")).Dir)
		must(t, d.Mkdir("dir"))
		want := wanted(replica.TypeDir)
		u, err := d.SetMeta("dir", want, nil, MetaOptions{Times: true})
		if err != nil || len(u) != 1 || u[0].Attribute != "mtime" {
			t.Fatal(u, err)
		}
		if text := u.String(); !strings.HasPrefix(text, "mtime: stored as 2001-09-09T01:46:41.000000000Z") {
			t.Error(text)
		}
	})
}

func TestXattrsOfManySizes(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		if v.FS == "ext4" {
			v = voltest.New(t, "ext4", voltest.Mkfs("-b", "4096"))
		}
		d := root(t, v.Dir)
		must(t, d.Mkdir("dir"))
		x := Xattrs{}
		for name, size := range map[string]int{"a": 0, "b": 1, "c": 511, "d": 512, "e": 513, "f": 1200} {
			x["user."+name] = strings.Repeat(name, size)
		}
		if u, err := d.SetMeta("dir", wanted(replica.TypeDir), x, MetaOptions{}); err != nil || len(u) > 0 {
			t.Fatal(u, err)
		}
		if have := got[Xattrs](t)(d.Xattrs("dir")); !maps.Equal(have, x) {
			t.Errorf("%q", have)
		}
		if x, err := d.Xattrs("missing"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v %v", x, err)
		}
	})
}

func TestXattrsWithoutAliases(t *testing.T) {
	v := voltest.New(t, "xfs")
	shell(t, v.Dir, "mkdir d; setfacl -m u:4711:rx -d -m u:4711:rx d")
	d := root(t, v.Dir)
	for name := range got[Xattrs](t)(d.Xattrs("d")) {
		if name != accessACL && name != defaultACL {
			t.Errorf("%q", name)
		}
	}
}

func TestDigest(t *testing.T) {
	a := Xattrs{"user.a": "bc"}.Digest()
	for _, x := range []Xattrs{nil, {}, {"user.ab": "c"}, {"user.a": "bd"}, {"user.a": "bc", "user.b": ""}} {
		if x.Digest() == a {
			t.Errorf("%q", x)
		}
	}
	if (Xattrs{}).Digest() != ([16]byte{}) {
		t.Error("no attributes have a digest")
	}
	// Recorded in indexes: it must never change.
	if got := hex.EncodeToString(a[:]); got != "05b8b69b7941b67465c61bb7a8b3e90a" {
		t.Error(got)
	}
}

func TestLimits(t *testing.T) {
	voltest.Each(t, func(t *testing.T, v *voltest.Volume) {
		d := root(t, v.Dir)
		for range 2 {
			l := got[Limits](t)(TryLimits(d))
			if missing := l.Missing(); len(missing) > 0 {
				t.Errorf("missing %q", missing)
			}
			if want := v.FS == "xfs" || v.FS == "btrfs"; l.Reflinks != want {
				t.Errorf("reflinks: %v", l.Reflinks)
			}
			if l.MaxSize < 1<<41 || l.MaxName != 255 || !l.Handles {
				t.Errorf("%+v", l)
			}
		}
		if _, err := d.Lookup(probing); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	t.Run("old ext4", func(t *testing.T) {
		d := root(t, voltest.New(t, "ext4", voltest.Mkfs("-I", "128")).Dir)
		l := got[Limits](t)(TryLimits(d))
		if l.TimeStep != 1e9 {
			t.Errorf("%+v", l)
		}
		if words := strings.Join(l.Missing(), ", "); words != "times finer than 1 s" {
			t.Error(words)
		}
	})
	t.Run("no ACLs", func(t *testing.T) {
		l := got[Limits](t)(TryLimits(root(t, voltest.New(t, "btrfs", voltest.Data("noacl")).Dir)))
		if words := strings.Join(l.Missing(), ", "); words != "access control lists" {
			t.Error(words)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		v := voltest.New(t, "ext4")
		v.Remount(unix.MS_RDONLY, "")
		if _, err := TryLimits(root(t, v.Dir)); !errors.Is(err, syscall.EROFS) {
			t.Error(err)
		}
	})
}

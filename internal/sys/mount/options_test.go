package mount_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/sys/mount"
)

func TestOptionsAreThoseOfMount8(t *testing.T) {
	const user = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	flags := func(names ...string) (options []mount.Option) {
		for _, name := range names {
			options = append(options, mount.Option{Name: name})
		}
		return options
	}
	for text, want := range map[string]struct {
		attributes int
		options    []mount.Option
	}{
		"":                      {},
		"defaults,,nosuid":      {unix.MOUNT_ATTR_NOSUID, nil},
		"ro":                    {unix.MOUNT_ATTR_RDONLY, flags("ro")},
		"ro,rw":                 {0, flags("ro", "rw")},
		"rw,ro":                 {unix.MOUNT_ATTR_RDONLY, flags("rw", "ro")},
		"ro=vfs":                {unix.MOUNT_ATTR_RDONLY, nil},
		"ro=fs":                 {0, flags("ro")},
		"noexec,exec,nodev":     {unix.MOUNT_ATTR_NODEV, nil},
		"nodev,dev,nosuid,suid": {},
		"strictatime,noatime":   {unix.MOUNT_ATTR_NOATIME, nil},
		"noatime,relatime":      {},
		"noatime,atime":         {},
		"strictatime,atime":     {unix.MOUNT_ATTR_STRICTATIME, nil},
		"nosymfollow,symfollow,nodiratime,diratime": {},
		"user":          {user, nil},
		"user=ann,exec": {user &^ unix.MOUNT_ATTR_NOEXEC, nil},
		"exec,users":    {user, nil},
		"group":         {user &^ unix.MOUNT_ATTR_NOEXEC, nil},
		"nofail,noauto,auto,_netdev,comment=a b,x-systemd.requires=/a,X-b,silent,loud,nouser": {},
		"size=1M,sync,size=2M": {0, []mount.Option{{Name: "size", Value: "1M"}, {Name: "sync"}, {Name: "size", Value: "2M"}}},
		`context="a:b,c",ro`:   {unix.MOUNT_ATTR_RDONLY, []mount.Option{{Name: "context", Value: "a:b,c"}, {Name: "ro"}}},
	} {
		attributes, options := mount.ParseOptions(text)
		if diff := cmp.Diff(want.options, options); attributes != want.attributes || diff != "" {
			t.Errorf("%s: attributes %#x, want %#x %s", text, attributes, want.attributes, diff)
		}
	}
}

func TestOptionsAreReadAsTheyAreWritten(t *testing.T) {
	for _, o := range []mount.Option{{Name: "ro"}, {Name: "size", Value: "1M"}, {Name: "lowerdir", Value: "/a,b:/c=d"}} {
		if diff := cmp.Diff([]mount.Option{o}, mount.SplitOptions(o.String())); diff != "" {
			t.Error(diff)
		}
	}
}

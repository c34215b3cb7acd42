package tree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/replica"
)

// File systems without handles, or behind a program, are read and written as well.
func TestLayers(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, v *voltest.Volume, at string){
		"bindfs": func(t *testing.T, v *voltest.Volume, at string) { voltest.Bindfs(t, filepath.Join(v.Dir, "upper"), at) },
		"overlay": func(t *testing.T, v *voltest.Volume, at string) {
			voltest.Overlay(t, false, filepath.Join(v.Dir, "lower"), filepath.Join(v.Dir, "upper"), filepath.Join(v.Dir, "work"), at)
		},
		"overlay with handles": func(t *testing.T, v *voltest.Volume, at string) {
			voltest.Overlay(t, true, filepath.Join(v.Dir, "lower"), filepath.Join(v.Dir, "upper"), filepath.Join(v.Dir, "work"), at)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := voltest.New(t, "ext4")
			shell(t, v.Dir, "mkdir lower upper work at source; echo low > lower/low; cd source;"+planted)
			at := filepath.Join(v.Dir, "at")
			make(t, v, at)
			shell(t, v.Dir, "rsync -aHAXS --modify-window=-1 source/ at/")
			d := root(t, at)
			o := got[Object](t)(d.Lookup("big"))
			if has := o.Handle != ""; has != (name == "overlay with handles") {
				t.Errorf("handle %q", o.Handle)
			}
			os.Remove(at + "/low")
			shell(t, v.Dir, "touch -r source at")
			lines, _ := diff(t, filepath.Join(v.Dir, "source"), at, true)
			for _, line := range lines {
				// What the program behind the mount cannot do is not for this package to mend.
				t.Logf("%s", line)
				if name != "bindfs" {
					t.Errorf("%s", line)
				}
			}
			for _, c := range contents() {
				if name == "bindfs" && c.prealloc != nil {
					continue
				}
				c.write(t, at+"/file", 1)
				copyFile(t, d, "file", d, "", CopyOptions{})
			}
			l := got[Limits](t)(TryLimits(d))
			t.Logf("missing: %s", strings.Join(l.Missing(), ", "))
			must(t, d.Mkdir("m"))
			u, err := d.SetMeta("m", wanted(replica.TypeDir), Xattrs{"user.a": "1"}, MetaOptions{Times: true})
			if err != nil || len(u) > 0 {
				t.Errorf("%v, %v", u, err)
			}
			must(t, RemoveAll(d, "dir"))
		})
	}
}

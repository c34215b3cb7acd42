package vmtest

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir/internal/voltest"
)

// kernel is an unpacked package of Debian: its image and its modules by name.
type kernel struct {
	release string
	image   string
	modules map[string]string
}

// findKernel finds what hack/deps has unpacked, the newest if there are several, or skips the test.
func findKernel(t *testing.T) kernel {
	t.Helper()
	images, err := filepath.Glob(filepath.Join(cacheDir(), "linux-6.1", "boot", "vmlinuz-6.1.*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(images) == 0 {
		voltest.Skip(t, "kernel 6.1", "run make deps on a Debian 12 that reaches its archive")
	}
	image := images[len(images)-1]
	k := kernel{
		release: strings.TrimPrefix(filepath.Base(image), "vmlinuz-"), image: image, modules: map[string]string{},
	}
	err = filepath.WalkDir(filepath.Join(cacheDir(), "linux-6.1", "lib", "modules", k.release),
		func(path string, _ fs.DirEntry, err error) error {
			if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
				k.modules[moduleName(name)] = path
			}
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// cacheDir is where hack/deps puts what is too large to be got for every run.
func cacheDir() string {
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "weir")
	}
	return filepath.Join(os.Getenv("HOME"), ".cache", "weir")
}

// moduleName is the kernel's name of a module, in which a hyphen is an underscore.
func moduleName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// inOrder returns the files of the modules and of what they depend on, each after what it depends on. What
// is not a module is built in.
func (k kernel) inOrder(t *testing.T, names ...string) (paths []string) {
	t.Helper()
	var add func(name string)
	add = func(name string) {
		path, isModule := k.modules[moduleName(name)]
		if !isModule || slices.Contains(paths, path) {
			return
		}
		for _, other := range dependencies(t, path) {
			add(other)
		}
		paths = append(paths, path)
	}
	for _, name := range names {
		add(name)
	}
	return paths
}

// dependencies reads the names that depmod(8) reads: of what the module uses, and of what it asks for by
// another way before it is loaded.
func dependencies(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer file.Close()
	info, err := file.Section(".modinfo").Data()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, line := range bytes.Split(info, []byte{0}) {
		if list, ok := strings.CutPrefix(string(line), "depends="); ok {
			names = append(names, strings.FieldsFunc(list, func(r rune) bool { return r == ',' })...)
		}
		if list, ok := strings.CutPrefix(string(line), "softdep=pre: "); ok {
			names = append(names, strings.Fields(list)...)
		}
	}
	return names
}

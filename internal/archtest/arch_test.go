package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// readSources parses every Go file of the module, in the order of paths.
func readSources(t *testing.T, fset *token.FileSet) (sources []source) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && elsewhere(path, entry.Name()):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		pkg := filepath.Dir(name)
		if pkg == "." {
			pkg = "weir"
		}
		sources = append(sources, source{pkg, name, strings.HasSuffix(name, "_test.go"), file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// elsewhere tells whether a directory holds no package of this module.
func elsewhere(path, name string) bool {
	if strings.HasPrefix(name, ".") || name == "testdata" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

func TestPackagesAreAsTheDocumentsSay(t *testing.T) {
	rows, err := readArchitecture(root + "/docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	modules, err := readDependencies(root + "/docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	sources := readSources(t, fset)
	faults := append(checkTable(rows, sources), checkDependencies(modules, sources)...)
	for _, s := range sources {
		if i := slices.IndexFunc(rows, func(r row) bool { return r.has(s.pkg) }); i >= 0 {
			faults = append(faults, checkFile(rows[i], s, fset)...)
		}
	}
	for _, fault := range append(faults, undocumented(sources)...) {
		t.Error(fault)
	}
}

// undocumented finds packages without a package comment.
func undocumented(sources []source) (faults []string) {
	documented := map[string]bool{}
	for _, s := range sources {
		documented[s.pkg] = documented[s.pkg] || s.file.Doc != nil
	}
	for pkg, ok := range documented {
		if !ok {
			faults = append(faults, pkg+" has no package comment")
		}
	}
	slices.Sort(faults)
	return faults
}

// TestFaultsAreFound plants one fault after the other.
func TestFaultsAreFound(t *testing.T) {
	rows := []row{
		{0, []string{"weir"}, []string{"std"}},
		{1, []string{"policy"}, []string{"pure", "0"}},
		{2, []string{"tree", "tree/..."}, []string{"std", "0-1", "internal/sys/..."}},
		{3, []string{"manager"}, []string{"std", "0-2"}},
		{5, []string{"cmd/weir"}, []string{"all"}},
		{noTier, []string{"internal/sys/..."}, []string{"std", "x/sys"}},
		{noTier, []string{"internal/judge"}, []string{"nothing of weir", "std", "x/sys"}},
	}
	for _, test := range []struct{ pkg, file, code, want string }{
		{"tree", "a.go", `import "` + module + `/manager"`, "its row allows only"},
		{"tree", "a.go", `import "` + module + `/internal/judge"`, "for tests"},
		{"cmd/weir", "a.go", `import "` + module + `/internal/judge"`, "for tests"},
		{"tree", "a_test.go", `import "` + module + `/internal/judge"`, ""},
		{"tree", "a_test.go", `import "` + module + `/cmd/weir"`, "commands are not"},
		{"tree", "a.go", `import "` + module + `/policy"`, ""},
		{"tree", "a.go", `import "` + module + `"`, ""},
		{"weir", "a.go", `import "` + module + `/policy"`, "its row allows only"},
		{"tree", "a.go", `import "golang.org/x/sys/unix"`, "raw system calls"},
		{"internal/sys/at", "a.go", `import "golang.org/x/sys/unix"`, ""},
		{"internal/judge", "a.go", `import "` + module + `"`, "its row allows only"},
		{"internal/judge", "a_test.go", `import "` + module + `/tree"`, "its row allows only"},
		{"policy", "a.go", `import "os"`, "is pure"},
		{"policy", "a.go", `import "net/http"`, "is pure"},
		{"policy", "a.go", `import "time"; var x = time.Now`, "the clock"},
		{"policy", "a.go", `import "time"; var x time.Duration`, ""},
		{"policy", "a.go", `func f() { go f() }`, "a goroutine"},
		{"tree", "a.go", `func f() { go f() }`, ""},
		{"tree", "a.go", `import "unsafe"`, "unsafe belongs"},
		{"tree", "a.go", `import _ "fmt"`, "blank import"},
		{"tree", "a.go", `func init() {}`, "init function"},
		{"tree", "a.go", `import "syscall"; var x = syscall.Sync()`, "outside internal/sys"},
		{"tree", "a.go", `import "syscall"; var x = syscall.Errno(1)`, ""},
		{"unheard", "a.go", ``, "in no row"},
		{"manager", "a.go", `import "example.org/m/v2"`, "does not say so"},
		{"tree", "a.go", `import "example.org/m/v2/sub"`, ""},
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, test.file, "// Package p is documented.\npackage p\n"+test.code, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		s := source{test.pkg, test.file, strings.HasSuffix(test.file, "_test.go"), file}
		modules := []dependency{{"example.org/m/v2", []string{"tree"}}, {"golang.org/x/sys", []string{"tests", "tree", "internal/sys/..."}}}
		faults := append(checkTable(rows, []source{s}), checkDependencies(modules, []source{s})...)
		if i := slices.IndexFunc(rows, func(r row) bool { return r.has(s.pkg) }); i >= 0 {
			faults = append(faults, checkFile(rows[i], s, fset)...)
		}
		faults = slices.DeleteFunc(faults, func(f string) bool {
			return strings.Contains(f, "there is no such package") || strings.HasPrefix(f, "docs/")
		})
		if test.want == "" && len(faults) > 0 || !strings.Contains(strings.Join(faults, "\n"), test.want) {
			t.Errorf("%s/%s: %q: found %q, want %q", test.pkg, test.file, test.code, faults, test.want)
		}
	}
}

func TestTableHasNoDeadRows(t *testing.T) {
	faults := checkTable([]row{{1, []string{"gone"}, []string{"std"}}}, nil)
	faults = append(faults, checkDependencies([]dependency{{"example.org/m", []string{"tree"}}}, nil)...)
	if len(faults) != 2 {
		t.Errorf("found %q, want the row and the module that nothing uses", faults)
	}
	if err := (row{2, []string{"tree"}, []string{"std", "0-2"}}).check(); err == nil {
		t.Error("a tier may import itself")
	}
	if got := undocumented([]source{{pkg: "bare", file: mustParse(t, "package bare")}}); len(got) != 1 {
		t.Errorf("a package without a comment: %q", got)
	}
}

func mustParse(t *testing.T, code string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "a.go", code, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

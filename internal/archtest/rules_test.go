package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// source is one parsed file.
type source struct {
	pkg  string // relative to the module; "weir" is its root
	name string
	test bool
	file *ast.File
}

// imports returns what the file imports, relative to the module where it is weir's own.
func (s source) imports() (paths []string) {
	for _, spec := range s.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if path == module {
			path = module + "/weir"
		}
		paths = append(paths, path)
	}
	return paths
}

func own(path string) (pkg string, ok bool) { return strings.CutPrefix(path, module+"/") }

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// checkTable finds packages that no row is about, rows that are about no package, and imports that
// the rows do not allow. Tests may import any package but commands.
func checkTable(rows []row, sources []source) (faults []string) {
	used := make([]bool, len(rows))
	for _, s := range sources {
		i := slices.IndexFunc(rows, func(r row) bool { return r.has(s.pkg) })
		if i < 0 {
			faults = append(faults, fmt.Sprintf("%s is in no row of the table", s.pkg))
			continue
		}
		used[i] = true
		for _, path := range s.imports() {
			if why := forbidden(rows, rows[i], s, path); why != "" {
				faults = append(faults, fmt.Sprintf("%s imports %s: %s", s.name, path, why))
			}
		}
	}
	for i, r := range rows {
		if !used[i] {
			faults = append(faults, fmt.Sprintf("%v: there is no such package", r.packages))
		}
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

// forbidden says why a file may not import path, or nothing.
func forbidden(rows []row, r row, s source, path string) string {
	pkg, isOwn := own(path)
	if s.test && !slices.Contains(r.allowed, "nothing of weir") {
		if isOwn && strings.HasPrefix(pkg, "cmd/") {
			return "commands are not imported"
		}
		return ""
	}
	switch {
	case slices.Contains(r.allowed, "all"):
		return testOnly(rows, pkg, isOwn)
	case isOwn && pkg == s.pkg: // an external test of the package
		return ""
	case isOwn && s.test && testOnly(rows, pkg, true) != "":
		return ""
	case isOwn:
		return forbiddenOwn(rows, r, pkg)
	case path == "golang.org/x/sys/unix":
		if !slices.Contains(r.allowed, "x/sys") {
			return "raw system calls belong into internal/sys; errors are in package syscall too"
		}
	case standard(path):
		return forbiddenStandard(r, path)
	}
	return ""
}

func forbiddenOwn(rows []row, r row, pkg string) string {
	if why := testOnly(rows, pkg, true); why != "" {
		return why
	}
	i := slices.IndexFunc(rows, func(r row) bool { return r.has(pkg) })
	for _, word := range r.allowed {
		if low, high, ok := tierRange(word); ok && i >= 0 && low <= rows[i].tier && rows[i].tier <= high {
			return ""
		}
		if matches(word, pkg) {
			return ""
		}
	}
	return fmt.Sprintf("its row allows only %s", strings.Join(r.allowed, ", "))
}

// testOnly keeps the packages whose row says so out of everything but tests.
func testOnly(rows []row, pkg string, isOwn bool) string {
	i := slices.IndexFunc(rows, func(r row) bool { return r.has(pkg) })
	if isOwn && i >= 0 && slices.Contains(rows[i].allowed, "nothing of weir") {
		return "it is for tests"
	}
	return ""
}

func forbiddenStandard(r row, path string) string {
	effects := []string{"os", "net", "syscall", "log", "log/slog", "io/ioutil", "sync", "context", "math/rand", "math/rand/v2"}
	switch {
	case path == "unsafe" && !slices.Contains(r.allowed, "x/sys"):
		return "unsafe belongs into internal/sys"
	case !slices.Contains(r.allowed, "pure"):
		return ""
	case slices.Contains(effects, path), strings.HasPrefix(path, "os/"), strings.HasPrefix(path, "net/"):
		return "the package is pure"
	}
	return ""
}

// checkFile finds what the house style forbids in one file: init, blank imports, system calls outside
// internal/sys, and, in a pure package, goroutines and the clock.
func checkFile(r row, s source, fset *token.FileSet) (faults []string) {
	if s.test {
		return nil
	}
	fault := func(n ast.Node, why string) {
		faults = append(faults, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), why))
	}
	for _, spec := range s.file.Imports {
		if spec.Name != nil && spec.Name.Name == "_" && spec.Path.Value != `"embed"` {
			fault(spec, "blank import")
		}
	}
	pure := slices.Contains(r.allowed, "pure")
	raw := slices.Contains(r.allowed, "x/sys")
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				fault(n, "init function")
			}
		case *ast.GoStmt:
			if pure {
				fault(n, "a goroutine in a pure package")
			}
		case *ast.SelectorExpr:
			if pure && isClock(n) {
				fault(n, "the clock in a pure package")
			}
		case *ast.CallExpr:
			if call := systemCall(n); call != "" && !raw {
				fault(n, call+" outside internal/sys")
			}
		}
		return true
	})
	return faults
}

func isClock(n *ast.SelectorExpr) bool {
	x, ok := n.X.(*ast.Ident)
	return ok && x.Name == "time" && slices.Contains([]string{
		"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
	}, n.Sel.Name)
}

// systemCall names a function of package syscall that is called. Its types are only converted to.
func systemCall(n *ast.CallExpr) string {
	selector, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := selector.X.(*ast.Ident)
	if !ok || x.Name != "syscall" || slices.Contains([]string{"Errno", "Signal", "Timespec"}, selector.Sel.Name) {
		return ""
	}
	return "syscall." + selector.Sel.Name
}

// checkDependencies finds modules that are imported by a package that docs/dependencies.md does not name,
// and lines of the document that nothing needs. Tests count.
func checkDependencies(list []dependency, sources []source) (faults []string) {
	needed := map[[2]string]bool{}
	for _, s := range sources {
		for _, path := range s.imports() {
			if _, isOwn := own(path); isOwn || standard(path) {
				continue
			}
			if module, pattern := findDependency(list, path, s.pkg); pattern != "" {
				needed[[2]string{module, pattern}] = true
			} else {
				faults = append(faults, fmt.Sprintf("%s imports %s: docs/dependencies.md does not say so", s.name, path))
			}
		}
	}
	for _, d := range list {
		for _, pattern := range d.importers {
			if !needed[[2]string{d.module, pattern}] {
				faults = append(faults, fmt.Sprintf("docs/dependencies.md: %s does not import %s", pattern, d.module))
			}
		}
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

func findDependency(list []dependency, path, pkg string) (module, pattern string) {
	for _, d := range list {
		if !matches(d.module+"/...", path) {
			continue
		}
		for _, p := range d.importers {
			if p == "tests" || matches(p, pkg) {
				return d.module, p
			}
		}
	}
	return "", ""
}

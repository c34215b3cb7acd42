package target

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// Missing says in words what a target with these limits cannot store of an object, or nothing.
func Missing(l tree.Limits, o replica.Attr, name string) string {
	switch typ := o.Type(); {
	case typ == replica.TypeLink && !l.Symlinks:
		return "symbolic links"
	case typ == replica.TypeFIFO && !l.FIFOs:
		return "FIFOs"
	case typ == replica.TypeSocket && !l.FIFOs:
		return "sockets"
	case (typ == replica.TypeChar || typ == replica.TypeBlock) && !l.Devices:
		return "devices"
	case len(name) > l.MaxName:
		return fmt.Sprintf("names longer than %d bytes", l.MaxName)
	case o.IsFile() && l.MaxSize > 0 && o.Size > l.MaxSize:
		return fmt.Sprintf("files larger than %d bytes", l.MaxSize)
	}
	return ""
}

// OddName reports whether a name has what some file systems refuse, or change without a word.
func OddName(name string) bool {
	last := name[len(name)-1]
	if last == '.' || last == ' ' || !utf8.ValidString(name) || strings.ContainsAny(name, `<>:"\|?*`) {
		return true
	}
	return strings.ContainsFunc(name, unicode.IsControl)
}

// Limits returns what the target stores, and whether that is known.
func (t *Target) Limits() (tree.Limits, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.limits, t.limits.MaxName > 0
}

// TryName makes a directory of that name aside and looks whether it is listed under it.
func (t *Target) TryName(tmp *tree.Dir, name string) error {
	aside := "name-" + strconv.FormatUint(t.trials.Add(1), 10)
	if err := tmp.Mkdir(aside); err != nil {
		return untried(err)
	}
	defer func() { _ = tree.RemoveAll(tmp, aside) }() // What is left is removed at the next start.
	dir, err := tmp.OpenDir(aside)
	if err != nil {
		return untried(err)
	}
	defer dir.Close()
	switch err := dir.Mkdir(name); {
	case err == nil:
	case Full(err) || Broken(err):
		return untried(err)
	case errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EILSEQ):
		return Unstorable("this name: it has characters that are not allowed there") // exFAT says that there is no such file.
	default:
		return Unstorable("this name: " + Reason(err))
	}
	found := false
	err = dir.List(func(listed string, _ uint32) error {
		found = found || listed == name
		return nil
	})
	if err == nil && !found {
		err = Unstorable("this name: it changes it")
	}
	return err
}

// untried says that a name could not be tried out, without the name that it was tried under.
func untried(err error) error { return fmt.Errorf("try out the name: %w", bareErrno(err)) }

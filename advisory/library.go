package advisory

import (
	"embed"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/weirfs/weir"
)

//go:embed data/*.toml
var data embed.FS

// Library is a set of advisories, in the order of their ids.
type Library struct{ books []book }

type book struct {
	advisory *Advisory
	file     string
	text     []byte
}

// Builtin returns the library that weir brings along.
func Builtin() (*Library, error) {
	l := &Library{}
	return l, l.Add(data, "data", "built in: ")
}

// Add reads every file of a folder whose name ends in .toml. called is what comes before their names in errors, which are of
// KindRefused; nothing is added then. An advisory that is there already is refused.
func (l *Library) Add(from fs.FS, folder, called string) error {
	names, err := fs.Glob(from, path.Join(folder, "*.toml"))
	if err != nil {
		return &weir.Error{Op: "list advisories", Kind: weir.KindFailed, Path: called, Err: err}
	}
	books := slices.Clone(l.books)
	for _, name := range names {
		file := called + path.Base(name)
		text, err := readBounded(from, name)
		if err != nil {
			return &weir.Error{Op: "read advisory", Kind: weir.KindRefused, Path: file, Err: err}
		}
		a, err := Parse(file, text)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(books, func(b book) bool { return strings.EqualFold(b.advisory.ID, a.ID) }); i >= 0 {
			return &weir.Error{
				Op: "read advisory", Kind: weir.KindRefused, Path: file, Err: errors.New(a.ID + " is there already, in " + books[i].file),
				Hint: "give it another id",
			}
		}
		books = append(books, book{a, file, text})
	}
	slices.SortFunc(books, func(a, b book) int { return strings.Compare(a.advisory.ID, b.advisory.ID) })
	l.books = books
	return nil
}

// readBounded reads a regular file, and of one that is larger than any advisory a little more than one may have.
func readBounded(from fs.FS, name string) ([]byte, error) {
	if info, err := fs.Stat(from, name); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is no regular file"))
	}
	file, err := from.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxSize+1))
}

// All returns the advisories.
func (l *Library) All() (all []*Advisory) {
	for _, b := range l.books {
		all = append(all, b.advisory)
	}
	return all
}

// Find returns the advisory of an id, and the file that it was read from. KB may be left out before a number, and case does
// not matter. The error is of KindRefused and names what there is.
func (l *Library) Find(id string) (*Advisory, []byte, error) {
	var ids []string
	for _, b := range l.books {
		if strings.EqualFold(b.advisory.ID, id) || strings.EqualFold(b.advisory.ID, "KB"+id) {
			return b.advisory, b.text, nil
		}
		ids = append(ids, b.advisory.ID)
	}
	return nil, nil, &weir.Error{
		Op: "find advisory", Kind: weir.KindRefused, Path: id, Err: errors.New("there is none"), Hint: "there are: " + strings.Join(ids, ", "),
	}
}

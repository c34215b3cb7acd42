package advisory

import (
	"embed"
	"errors"
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
	names, err := fs.Glob(data, "data/*.toml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := data.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := l.Add("built in: "+path.Base(name), text); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Add parses the text of a file, by whose name errors call it; they are of KindRefused. An advisory that is there already is
// refused.
func (l *Library) Add(file string, text []byte) error {
	a, err := Parse(file, text)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(l.books, func(b book) bool { return plain(b.advisory.ID) == plain(a.ID) }); i >= 0 {
		return &weir.Error{
			Op: "read advisory", Kind: weir.KindRefused, Path: file, Err: errors.New(l.books[i].advisory.ID + " is there already, in " + l.books[i].file),
			Hint: "give it another id",
		}
	}
	l.books = append(l.books, book{a, file, text})
	slices.SortFunc(l.books, func(a, b book) int { return strings.Compare(a.advisory.ID, b.advisory.ID) })
	return nil
}

// plain is what ids are compared by: without case, and without KB before a number.
func plain(id string) string {
	id = strings.ToUpper(id)
	if number, found := strings.CutPrefix(id, "KB"); found && number != "" && strings.Trim(number, "0123456789") == "" {
		return number
	}
	return id
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
		if plain(b.advisory.ID) == plain(id) {
			return b.advisory, b.text, nil
		}
		ids = append(ids, b.advisory.ID)
	}
	return nil, nil, &weir.Error{
		Op: "find advisory", Kind: weir.KindRefused, Path: id, Err: errors.New("there is none"), Hint: "there are: " + strings.Join(ids, ", "),
	}
}

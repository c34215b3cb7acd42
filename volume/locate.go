package volume

import (
	"strings"

	"github.com/weirfs/weir/internal/sys/mount"
)

// locate returns the mount that shows path, as the kernel would find it by walking down from the root: on
// each mount the first child that path crosses. path is absolute, clean and without symbolic links.
func locate(table []mount.Entry, path string) (mount.Entry, bool) {
	at, ok := rootOf(table)
	// Each step goes to a child, so the number of mounts bounds them also if the table is torn.
	for range table {
		next, found := crossed(table, at, path)
		if !found {
			break
		}
		at = next
	}
	return at, ok
}

// rootOf returns the lowest mount at "/": the one whose parent is out of sight.
func rootOf(table []mount.Entry) (mount.Entry, bool) {
	known := make(map[uint64]bool, len(table))
	for _, e := range table {
		known[e.ID] = true
	}
	for _, e := range table {
		if e.Point == "/" && (e.ParentID == e.ID || !known[e.ParentID]) {
			return e, true
		}
	}
	return mount.Entry{}, false
}

// crossed returns the child of at that a walk to path crosses first.
func crossed(table []mount.Entry, at mount.Entry, path string) (first mount.Entry, found bool) {
	for _, e := range table {
		if e.ParentID != at.ID || e.ID == at.ID || !covers(e.Point, path) {
			continue
		}
		if !found || len(e.Point) < len(first.Point) {
			first, found = e, true
		}
	}
	return first, found
}

// covers tells whether path is point or below it.
func covers(point, path string) bool {
	return path == point || below(point, path)
}

// below tells whether path is strictly below point.
func below(point, path string) bool {
	if point == "/" {
		return len(path) > 1 && path[0] == '/'
	}
	return point != "" && len(path) > len(point) && strings.HasPrefix(path, point) && path[len(point)] == '/'
}

// visible tells whether a walk to the mount's point ends on that mount: nothing is mounted over it or over
// a directory above it.
func visible(table []mount.Entry, e mount.Entry) bool {
	at, ok := locate(table, e.Point)
	return ok && at.ID == e.ID
}

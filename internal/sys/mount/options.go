package mount

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Option is one parameter of a file system that is about to be mounted; without a value it is a flag.
type Option struct{ Name, Value string }

// String writes an option as SplitOptions reads it.
func (o Option) String() string {
	switch {
	case o.Value == "":
		return o.Name
	case strings.Contains(o.Value, ","):
		return o.Name + `="` + o.Value + `"`
	}
	return o.Name + "=" + o.Value
}

// SplitOptions splits the options of mount(8), "ro,nosuid,size=1M". A comma between quotation marks divides nothing; these
// are no part of the value.
func SplitOptions(text string) (options []Option) {
	quoted := false
	words := strings.FieldsFunc(text, func(r rune) bool {
		quoted = quoted != (r == '"')
		return r == ',' && !quoted
	})
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		if name != "" {
			options = append(options, Option{name, strings.ReplaceAll(value, `"`, "")})
		}
	}
	return options
}

// ParseOptions divides the options of mount(8) into attributes of the mount, for MakeWith, and what is the file system's.
// Of what contradicts, the last counts. What mount(8) ignores, or keeps for itself, is ignored.
func ParseOptions(text string) (attributes int, options []Option) {
	for _, o := range SplitOptions(text) {
		a, known := attributeOf(o.Name)
		if known && o.Value != "fs" { // "ro=fs" is of the superblock alone, and "ro=vfs" of the mount.
			attributes = attributes&^a.of | a.set
		}
		switch {
		case o.Name == "ro" || o.Name == "rw":
			if o.Value != "vfs" {
				options = append(options, Option{Name: o.Name})
			}
		case !known && !ignored(o.Name):
			options = append(options, o)
		}
	}
	return attributes, options
}

// attribute is what a word makes of the attributes of a mount: those in of become those in set.
type attribute struct{ of, set int }

// attributeOf has the words in util-linux's table of flags. What lets users mount, which weir does not ask, implies more.
func attributeOf(word string) (a attribute, known bool) {
	const (
		owners = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
		users  = owners | unix.MOUNT_ATTR_NOEXEC
	)
	a, known = map[string]attribute{
		"ro": {unix.MOUNT_ATTR_RDONLY, unix.MOUNT_ATTR_RDONLY}, "rw": {unix.MOUNT_ATTR_RDONLY, 0},
		"nosuid": {unix.MOUNT_ATTR_NOSUID, unix.MOUNT_ATTR_NOSUID}, "suid": {unix.MOUNT_ATTR_NOSUID, 0},
		"nodev": {unix.MOUNT_ATTR_NODEV, unix.MOUNT_ATTR_NODEV}, "dev": {unix.MOUNT_ATTR_NODEV, 0},
		"noexec": {unix.MOUNT_ATTR_NOEXEC, unix.MOUNT_ATTR_NOEXEC}, "exec": {unix.MOUNT_ATTR_NOEXEC, 0},
		"nodiratime": {unix.MOUNT_ATTR_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME}, "diratime": {unix.MOUNT_ATTR_NODIRATIME, 0},
		"nosymfollow": {unix.MOUNT_ATTR_NOSYMFOLLOW, unix.MOUNT_ATTR_NOSYMFOLLOW}, "symfollow": {unix.MOUNT_ATTR_NOSYMFOLLOW, 0},
		"noatime": {unix.MOUNT_ATTR__ATIME, unix.MOUNT_ATTR_NOATIME}, "atime": {unix.MOUNT_ATTR_NOATIME, 0},
		"strictatime": {unix.MOUNT_ATTR__ATIME, unix.MOUNT_ATTR_STRICTATIME}, "nostrictatime": {unix.MOUNT_ATTR_STRICTATIME, 0},
		"relatime": {unix.MOUNT_ATTR__ATIME, unix.MOUNT_ATTR_RELATIME}, "norelatime": {}, // it is the default
		"user": {users, users}, "users": {users, users}, "owner": {owners, owners}, "group": {owners, owners},
	}[word]
	return a, known
}

// ignored tells whether an option means nothing when something is mounted: it is for who reads fstab, or a remark.
func ignored(word string) bool {
	switch word {
	case "defaults", "auto", "noauto", "nofail", "_netdev", "comment", "silent", "loud", "nouser", "nousers", "noowner", "nogroup":
		return true
	}
	return strings.HasPrefix(word, "x-") || strings.HasPrefix(word, "X-")
}

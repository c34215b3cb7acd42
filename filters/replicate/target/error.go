package target

import (
	"errors"
	"syscall"

	"github.com/weirfs/weir"
)

// Refuse returns the error of a directory that may not be a target.
func Refuse(path, why, hint string) error {
	return &weir.Error{Op: "use target", Kind: weir.KindRefused, Path: path, Err: errors.New(why), Hint: hint}
}

// Absent returns the error of a target that is not there, or is another one.
func Absent(path, why, hint string) error {
	return &weir.Error{Op: "open target", Kind: weir.KindAbsent, Path: path, Err: errors.New(why), Hint: hint}
}

// Full reports whether the target has no room.
func Full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Broken reports whether the error may be one of the whole target, and not of one path.
func Broken(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENODEV) ||
		errors.Is(err, syscall.ESHUTDOWN) || errors.Is(err, syscall.ENXIO)
}

// Reason is the kernel's word for an error, without the call and the internal path.
func Reason(err error) string { return bareErrno(err).Error() }

func bareErrno(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// noDirectory tells what is no directory, or is a link to one, from a directory that cannot be opened.
func noDirectory(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// Unstorable is why a target does not take an object at all. It is listed and not tried again until the
// source changes or weir starts anew.
type Unstorable string

func (u Unstorable) Error() string { return "the target cannot store " + string(u) }

// Kept is why a target does not take a name of which Hold.Keeps says that it is the target's own.
const Kept Unstorable = "this name, since fsck(8) keeps its own directory of that name there: take a directory below it as target"

// IsUnstorable tells what no repetition heals.
func IsUnstorable(err error) bool {
	var u Unstorable
	return errors.As(err, &u)
}

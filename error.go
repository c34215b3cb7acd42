package weir

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind says what an error means to the operator. Exit statuses derive from it in one total table.
type Kind uint8

const (
	// KindFailed is an unexpected failure.
	KindFailed Kind = iota
	// KindRefused is input that weir does not accept; nothing was changed.
	KindRefused
	// KindUnsupported is a kernel or file system feature that is missing.
	KindUnsupported
	// KindAbsent is a volume, tree or file that is not there now and may come back.
	KindAbsent
	// KindBehind is a target that had not passed the barrier when weir stopped.
	KindBehind
	// KindDiffers is a comparison or a copy that found something unequal.
	KindDiffers
)

// ExitStatus is the status with which a command ends: 1 something differs or could not be replicated,
// 2 refused, 3 failed or left behind.
func (k Kind) ExitStatus() int {
	switch k {
	case KindDiffers:
		return 1
	case KindRefused, KindUnsupported:
		return 2
	default:
		return 3
	}
}

// kindNames are the kinds in the words of the control socket.
func kindNames() []string {
	return []string{"failed", "refused", "unsupported", "absent", "behind", "differs"}
}

// String returns the kind as one word.
func (k Kind) String() string { return kindNames()[k] }

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindNames(), string(text))
	if i < 0 {
		return fmt.Errorf("read kind of error: %q is none", text)
	}
	*k = Kind(i)
	return nil
}

// Error is the one error type that crosses package borders with a meaning for the operator.
type Error struct {
	Op   string // what was tried, in lower case: "open target"
	Kind Kind
	Path string // the file, directory or volume, if any; quoted when printed
	Err  error  // the reason
	Hint string // what to do, if weir knows; a full clause
}

// Error prints operation, quoted path, reason and hint on one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Path != "" {
		b.WriteString(" " + QuotePath(e.Path))
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost Error in err's chain, or KindFailed.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindFailed
}

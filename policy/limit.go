package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weirfs/weir"
)

// Window is how long a deletion counts.
const Window = time.Hour

// Limit is how much of a replica may be lost within Window without consent. The zero value is the default:
// a replica may lose 1,000 files, whatever its size, and half of what it held in any case.
//
// The default is meant to catch accidents (a tree that was emptied or moved away, a script that ran in the
// wrong place) and not daily work: a rebuilt project, a cleared cache, a spool whose files come and go. It
// cannot tell a cleared cache that was most of the tree from an accident; then the files stay on the
// replica until somebody consents, or as much has come, and nothing else waits.
type Limit struct {
	form  limitForm
	value int64 // of percent and count
}

type limitForm uint8

const (
	limitDefault limitForm = iota
	limitPercent           // more than value percent of the most that the replica held
	limitCount             // more than value
	limitOff
)

const (
	defaultPercent = 50
	defaultFloor   = 1000
)

// ParseBrake reads "N" (no more than N files), "P%" (no more than P percent of the most files that the
// replica held within Window, P from 0 to 100), "off", or "" for the default. An error is a weir.Error of
// KindRefused.
func ParseBrake(text string) (Limit, error) {
	switch text {
	case "":
		return Limit{}, nil
	case "off":
		return Limit{form: limitOff}, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	value, err := parseCount(digits)
	switch {
	case err != nil:
		return Limit{}, refuseLimit(text, err)
	case percent && value > 100:
		return Limit{}, refuseLimit(text, errors.New("more than all"))
	case percent:
		return Limit{limitPercent, value}, nil
	default:
		return Limit{limitCount, value}, nil
	}
}

// parseCount reads digits without a sign, so that there is one way to write a number.
func parseCount(digits string) (int64, error) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errors.New("not a number")
	}
	value, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, errors.New("too large a number")
	}
	return value, nil
}

func refuseLimit(text string, err error) error {
	return &weir.Error{
		Op: "parse deletion limit", Kind: weir.KindRefused, Path: text, Err: err,
		Hint: `write a number of files such as 500, a share such as 20%, or "off"`,
	}
}

// String returns what ParseBrake reads; "" is the default.
func (l Limit) String() string {
	switch l.form {
	case limitPercent:
		return fmt.Sprintf("%d%%", l.value)
	case limitCount:
		return strconv.FormatInt(l.value, 10)
	case limitOff:
		return "off"
	default:
		return ""
	}
}

// Words says the limit in words.
func (l Limit) Words() string {
	hours := "within an hour"
	switch l.form {
	case limitPercent:
		return fmt.Sprintf("more than %d%% of the files %s", l.value, hours)
	case limitCount:
		return fmt.Sprintf("more than %d files %s", l.value, hours)
	case limitOff:
		return "no limit"
	default:
		return fmt.Sprintf("more than %d%% of the files, and more than %d, %s", defaultPercent, defaultFloor, hours)
	}
}

// exceeded reports whether losing lost of peak files is too much.
func (l Limit) exceeded(lost, peak int64) bool {
	switch l.form {
	case limitPercent:
		return overShare(lost, peak, l.value)
	case limitCount:
		return lost > l.value
	case limitOff:
		return false
	default:
		return lost > defaultFloor && overShare(lost, peak, defaultPercent)
	}
}

// overShare compares without overflow: lost/peak > percent/100.
func overShare(lost, peak, percent int64) bool {
	return lost > peak/100*percent+peak%100*percent/100
}

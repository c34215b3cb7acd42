package fltmc

import (
	"fmt"
	"strings"

	"github.com/weirfs/weir"
)

const (
	legacy   = "<Legacy>"
	detached = "Detached"
)

// check says what no line of such a table can have.
func (t *table) check(row map[string]string) error {
	old := row[colFrame] == legacy || row[colAltitude] == legacy
	for _, column := range t.columns {
		text := row[column.text]
		if err := checkCell(column.text, text); err != nil {
			return err
		}
		var needed bool
		switch column.text {
		case colFilter:
			needed = true
		case colVolume:
			needed = t.kind == ofVolumes
		case colCount, colFrame, colInstance:
			needed = !old
		case colAltitude:
			needed = true
		}
		if needed && text == "" {
			return fmt.Errorf("nothing is in the column %s", column.text)
		}
		if t.kind == ofVolumes && column.text == colVolume && !strings.HasPrefix(text, `\`) {
			return fmt.Errorf("%q is no name of a volume", text)
		}
	}
	return nil
}

// checkCell says what a column cannot have.
func checkCell(column, text string) error {
	digits := "0123456789"
	switch {
	case text == "":
		return nil
	case (column == colAltitude || column == colFrame) && text == legacy:
		return nil
	case column == colAltitude:
		_, err := weir.ParseAltitude(text)
		return err
	case column == colFeatures:
		digits += "abcdefABCDEF"
	case column == colStatus || column == colState:
		if text != detached {
			return fmt.Errorf("%q in the column %s is neither nothing nor %s", text, column, detached)
		}
		return nil
	case column != colFrame && column != colCount:
		return nil
	}
	if len(text) > 8 || strings.Trim(text, digits) != "" {
		return fmt.Errorf("%q in the column %s is no number of at most 8 digits", text, column)
	}
	return nil
}

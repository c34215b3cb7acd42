package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirfs/weir"
)

// refuseEmpty refuses arguments and values of flags that are there and empty, of whatever command. That is what a shell
// makes of a variable that is not set, and an empty path would mean the current directory.
func refuseEmpty(c *cobra.Command, args []string) (err error) {
	if i := slices.Index(args, ""); i >= 0 {
		return emptyValue(fmt.Sprintf("argument %d (%s)", i+1, argumentName(c, i)))
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, several := f.Value.(pflag.SliceValue); several {
			values = list.GetSlice()
		}
		if err == nil && slices.Contains(values, "") {
			err = emptyValue("--" + f.Name)
		}
	})
	return err
}

// argumentName returns what the help of a command calls one of its arguments. The last may stand for several.
func argumentName(c *cobra.Command, i int) string {
	names := strings.Fields(regexp.MustCompile(`\[(-[^]]*|flags)\]`).ReplaceAllString(c.Use, ""))[1:]
	return strings.Trim(names[min(i, len(names)-1)], "[.]")
}

func emptyValue(name string) error {
	return &weir.Error{Op: "use " + name, Kind: weir.KindRefused, Err: errors.New("it is empty, as if from a variable that is not set"),
		Hint: "give it a value, or leave it out where it may be"}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/volume"
)

const mountLong = `Mount a file system so that the filters of the weir that runs see the first
operation on it: it is made, every filter that it concerns gets its instance, and
only then does it appear at DIR. With mount(8) there is a moment between the two,
which a scan has to make up for.

DEVICE may be LABEL=LABEL or UUID=UUID where udev keeps /dev/disk. TYPE is found out
by blkid if it is not given, or auto; of several, with commas between, it is the one
that blkid finds. A filter that fails, does not answer within ten seconds, is told of
nothing there, or holds it, is named, and the file system is mounted all the same
unless --require is given.

OPTIONS are those of mount(8), so that they may be taken from a line of fstab: ro,
nosuid, noatime and so on, and what the file system takes. The last one counts of
those that contradict. user, users, owner and group imply what they imply there, and
who may mount is not asked. What says something to others than the kernel is ignored:
defaults, auto, noauto, nofail, _netdev, comment=, x-..., silent, loud. Refused are
remount, bind, rbind, move, loop, offset, sizelimit, helper, uhelper, X-mount..., and
shared, private, slave and unbindable with their recursive forms: use mount(8).`

func newMountCommand() *cobra.Command {
	a := new(asker)
	var wanted control.MountRequest
	command := a.command(&cobra.Command{
		Use:     "mount [-t TYPE] [-o OPTIONS] DEVICE DIR",
		Short:   "Mount a file system that filters see from the first operation on",
		Long:    mountLong,
		Example: "  weir mount /dev/sdb1 /srv/data\n  weir mount -t tmpfs -o size=1G,nosuid none /srv/scratch",
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error {
			client, err := a.client(c)
			if err != nil {
				return err
			}
			if err := fillMount(c.Context(), &wanted, args[0], args[1]); err != nil {
				return err
			}
			var mounted control.Mounted
			if err := client.Do(c.Context(), http.MethodPost, "/v1/mounts", wanted, &mounted); err != nil {
				return mistaken(err)
			}
			for _, trouble := range mounted.Troubles {
				fmt.Fprintln(c.ErrOrStderr(), "weir: "+trouble)
			}
			return a.print(c.OutOrStdout(), mounted, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "volume %d is mounted at %s; attached before: %s\n", mounted.Volume, mounted.Dir, orNone(mounted.Instances))
				return err
			})
		},
	})
	command.Flags().StringVarP(&wanted.Type, "type", "t", "", "the `TYPE` of the file system (default: what blkid finds)")
	command.Flags().StringVarP(&wanted.Options, "options", "o", "", "mount `OPTIONS`, separated by commas")
	command.Flags().BoolVar(&wanted.Require, "require", false, "do not mount unless every filter that it concerns sees it")
	return command
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "no filter"
	}
	return strings.Join(names, ", ")
}

// fillMount completes what is asked for: the running weir knows nothing of this process's working directory.
func fillMount(ctx context.Context, wanted *control.MountRequest, device, dir string) error {
	if err := (volume.Wanted{Source: device, Options: wanted.Options}).CheckOptions(); err != nil {
		return err
	}
	device, err := tagged("/dev/disk", device)
	if err != nil {
		return err
	}
	where, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if device, err = sourceHere(wanted.Type, device); err != nil {
		return err
	}
	if wanted.Type, err = typeAmong(ctx, wanted.Type, device); err != nil {
		return err
	}
	if wanted.Options, err = optionsHere(wanted.Type, wanted.Options); err != nil {
		return err
	}
	wanted.Device, wanted.Dir = weir.QuotePath(device), weir.QuotePath(where)
	return nil
}

// tagged returns the device of a label or a UUID, by the links that udev keeps below disk, and any other name as it is.
func tagged(disk, name string) (string, error) {
	tag, value, _ := strings.Cut(name, "=")
	by, known := map[string]string{"LABEL": "by-label", "UUID": "by-uuid"}[tag]
	if !known {
		return name, nil
	}
	link := filepath.Join(disk, by, linkName(value))
	if _, err := os.Readlink(link); err == nil { // Dots, and nothing, lead to directories, which are no links.
		return filepath.EvalSymlinks(link)
	}
	return "", &weir.Error{Op: "find the device of", Kind: weir.KindRefused, Path: name, Err: errors.New("there is no link " + weir.QuotePath(link)),
		Hint: "name the device; blkid lists devices with their labels"}
}

// linkName writes a label as udev does: what could be unsafe in a name of a file by its bytes in hexadecimal.
func linkName(label string) string {
	var b strings.Builder
	for _, r := range label {
		if r < utf8.RuneSelf && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("#+-.:=@_", r) {
			fmt.Fprintf(&b, `\x%02x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// typeAmong returns the type that is wanted, or, of several with commas between, the one that the device has. Nothing and
// "auto" stand for any.
func typeAmong(ctx context.Context, wanted, device string) (string, error) {
	types := strings.Split(cmp.Or(wanted, "auto"), ",")
	if len(types) == 1 && types[0] != "auto" {
		return wanted, nil
	}
	found, err := typeOf(ctx, device)
	if err == nil && !slices.Contains(types, found) && !slices.Contains(types, "auto") {
		err = &weir.Error{Op: "mount", Kind: weir.KindRefused, Path: device, Err: fmt.Errorf("blkid finds %s on it, and not %s", found, wanted),
			Hint: "give the type with -t"}
	}
	return found, err
}

// typeOf asks blkid, which knows what is on a device better than a kernel that is made to try.
func typeOf(ctx context.Context, device string) (string, error) {
	refused := &weir.Error{Op: "find the type of", Kind: weir.KindRefused, Path: device, Hint: "give it with -t"}
	if !filepath.IsAbs(device) {
		refused.Err, refused.Hint = errors.New("there is no such device"), "name one, or give the type with -t if that needs none"
		return "", refused
	}
	found, err := exec.CommandContext(ctx, "blkid", "-p", "-o", "value", "-s", "TYPE", "--", device).CombinedOutput()
	text := strings.TrimSpace(string(found))
	switch {
	case errors.Is(err, exec.ErrNotFound):
		refused.Err = errors.New("blkid is not installed")
	case text != "" && err != nil:
		refused.Err = errors.New(text)
	case text == "":
		refused.Err = errors.New("blkid finds no file system on it")
	case strings.Contains(text, "\n"):
		refused.Err = errors.New("blkid is not sure: " + strings.ReplaceAll(text, "\n", ", "))
	default:
		return text, nil
	}
	return "", refused
}

package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/offline"
)

const advisoryLong = `Say whether a Windows installation has a defect that an article of its vendor
describes, and whether the files that mend it are there, from its disk alone: it need
not run, and nothing on it is changed.

The one that weir brings along is KB975759: a volume that is mounted while the filter
manager creates a frame is missed, and an application that replicates data does not see
its changes. See docs/advisory.md for what is read and how it is decided.`

func newAdvisoryCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "advisory",
		Short:   "Say whether a Windows installation is affected by KB 975759",
		Long:    advisoryLong,
		Example: "  weir advisory check /mnt/windows\n  (fltmc instances & fltmc volumes) > saved.txt     on Windows; then\n  weir advisory fltmc saved.txt",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	command.AddCommand(newAdvisoryCatalogCommand(), newAdvisoryCheckCommand(), newAdvisoryFilesCommand(), newAdvisoryFltmcCommand(), newAdvisoryListCommand(), newAdvisoryShowCommand())
	return command
}

// adviser is what the commands about advisories have in common.
type adviser struct {
	answerer
	folder string
	id     string
}

// command adds the flags to a command.
func (a *adviser) command(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.folder, "data", "", "read the advisories in `DIR` too: every file whose name ends in .toml")
	a.flag(c)
	return c
}

// choosing adds a flag that chooses among the advisories.
func (a *adviser) choosing(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.id, "advisory", "", "this one alone, by its `ID`")
	return a.command(c)
}

// library returns the advisories that are to be had.
func (a *adviser) library() (*advisory.Library, error) {
	l, err := advisory.Builtin()
	if err != nil || a.folder == "" {
		return l, err
	}
	entries, err := os.ReadDir(a.folder + "/") // A pipe of this name is not waited for.
	if err != nil {
		return nil, &weir.Error{Op: "read advisories in", Kind: weir.KindRefused, Path: a.folder, Err: reasonOf(err), Hint: "name a directory with files in TOML"}
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".toml") {
			continue
		}
		file := filepath.Join(a.folder, e.Name())
		text, err := readBounded(file, advisory.MaxSize)
		if err != nil {
			return nil, inFile("read advisory", file, "name a directory with files in TOML", err)
		}
		if err := l.Add(file, text); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// chosen returns the advisories that are asked about.
func (a *adviser) chosen() ([]*advisory.Advisory, error) {
	l, err := a.library()
	if err != nil {
		return nil, err
	}
	if a.id == "" {
		return l.All(), nil
	}
	one, _, err := l.Find(a.id)
	return []*advisory.Advisory{one}, err
}

// each gathers the evidence for each advisory that is asked about.
func (a *adviser) each(root string, take func(*advisory.Advisory, advisory.Evidence)) error {
	chosen, err := a.chosen()
	if err != nil {
		return err
	}
	for _, one := range chosen {
		e, err := offline.Gather(root, one)
		if err != nil {
			return err
		}
		take(one, e)
	}
	return nil
}

func newAdvisoryListCommand() *cobra.Command {
	a := new(adviser)
	return a.command(&cobra.Command{
		Use:               "list",
		Short:             "List the advisories that weir knows",
		Example:           "  weir advisory list --data /etc/weir/advisories",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := a.library()
			if err != nil {
				return err
			}
			return a.print(c.OutOrStdout(), map[string]any{"advisories": l.All()}, func(w io.Writer) error {
				table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "ID\tPRODUCTS\tTITLE")
				for _, one := range l.All() {
					var names []string
					for _, p := range one.Products {
						names = append(names, p.Name)
					}
					fmt.Fprintf(table, "%s\t%s\t%s\n", one.ID, strings.Join(names, ", "), one.Title)
				}
				return table.Flush()
			})
		},
	})
}

func newAdvisoryShowCommand() *cobra.Command {
	a := new(adviser)
	asTOML := false
	command := a.command(&cobra.Command{
		Use:     "show ID",
		Short:   "Show an advisory: products, files, branches, and what it does not tell",
		Example: "  weir advisory show KB975759\n  weir advisory show --toml 975759 > another.toml",
		Args:    cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) (ids []string, _ cobra.ShellCompDirective) {
			if l, err := a.library(); err == nil {
				for _, one := range l.All() {
					ids = append(ids, one.ID)
				}
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			l, err := a.library()
			if err != nil {
				return err
			}
			one, text, err := l.Find(args[0])
			switch {
			case err != nil:
				return err
			case asTOML:
				_, err = c.OutOrStdout().Write(text)
				return err
			}
			return a.print(c.OutOrStdout(), one, func(w io.Writer) error { return showAdvisory(w, one) })
		},
	})
	command.Flags().BoolVar(&asTOML, "toml", false, "print the text that weir reads, to write another one by")
	command.MarkFlagsMutuallyExclusive("toml", "json")
	return command
}

func showAdvisory(w io.Writer, a *advisory.Advisory) error {
	fmt.Fprintf(w, "%s: %s\n\nSymptom: %s.\nCause: %s.\n", a.ID, a.Title, a.Symptom, a.Cause)
	restart := "A restart is not needed."
	if a.Restart {
		restart = "The system is to be restarted after it."
	}
	fmt.Fprintf(w, "%s It replaces %s.\n", restart, orNothing(a.Replaces))
	products := [][]string{{"PRODUCT", "SYSTEM", "TYPE", "SERVICE PACK"}}
	for _, p := range a.Products {
		products = append(products, []string{p.Name, p.NT.String(), string(p.Type), numbers(p.ServicePacks, " or ")})
	}
	files := [][]string{{"FILE", "FOR", "VERSION", "SIZE", "BUILT (UTC)", "PLATFORM", "SP", "BRANCH", "PART OF"}}
	for _, f := range a.Files {
		files = append(files, []string{
			f.Name, f.Machine.String(), f.Version.String(), fmt.Sprint(f.Size), f.Built.UTC().Format("2006-01-02 15:04"), f.Platform,
			cmp.Or(f.ServicePack, "-"), cmp.Or(f.Branch, "-"), cmp.Or(f.Component, "-"),
		})
	}
	branches := [][]string{{"SYSTEM", "BRANCH", "TOLD BY", "MENDED"}}
	for _, b := range a.Branches {
		by := "suffix " + strings.Join(b.Suffixes, ", ")
		if len(b.Revisions) == 2 {
			by = fmt.Sprintf("revision %d to %d", b.Revisions[0], b.Revisions[1])
		}
		branches = append(branches, []string{b.NT.String(), b.Name, by, yesNo(b.Mended)})
	}
	numbering := [][]string{{"VERSION", "PRODUCT", "LEVEL", "BRANCH"}}
	for _, n := range a.Numbering {
		numbering = append(numbering, []string{string(n.Version), n.Product, n.Level, n.Branch})
	}
	for _, t := range [][][]string{products, files, branches, numbering} {
		if err := printTable(w, t); err != nil {
			return err
		}
	}
	for _, f := range a.FollowUps {
		fmt.Fprintf(w, "\nAfter it, on version %s: %s. %s.\n", f.NT, f.ID, f.Why)
	}
	for _, n := range a.Notes {
		fmt.Fprintf(w, "\nNote: %s\n", n)
	}
	_, err := fmt.Fprintf(w, "\nSources: %s\n", strings.Join(a.Sources, ", "))
	return err
}

// printTable prints rows under a heading, if there are any, and an empty line before them.
func printTable(w io.Writer, rows [][]string) error {
	if len(rows) == 1 {
		return nil
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "no other one"
	}
	return strings.Join(list, ", ")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func numbers(list []int, between string) string {
	var texts []string
	for _, n := range list {
		texts = append(texts, fmt.Sprint(n))
	}
	return strings.Join(texts, between)
}

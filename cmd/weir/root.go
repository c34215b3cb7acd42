package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// commands lists every verb.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newAdvisoryCommand(),
		newAttachCommand(),
		newCompletionCommand(),
		newCoverageCommand(),
		newDetachCommand(),
		newDoctorCommand(),
		newExplainCommand(),
		newFiltersCommand(),
		newFramesCommand(),
		newInstancesCommand(),
		newLoadCommand(),
		newMountCommand(),
		newMirrorCommand(),
		newUnloadCommand(),
		newVerifyCommand(),
		newVersionCommand(),
		newVolumesCommand(),
		newWatchCommand(),
	}
}

const rootLong = `weir keeps replicas of file trees in real time, and never misses a volume.

It copies SOURCE, then follows it: each change is on every replica within
milliseconds, on whatever volume below SOURCE it is made, also on volumes that
are mounted later.`

const rootExample = `  weir mirror /home /mnt/backup/home     copy, then follow until interrupted
  weir mirror --once /srv /mnt/b /mnt/c  make two replicas equal, and end
  weir verify /home /mnt/backup/home     compare, whoever made the copy
  weir coverage                          which volumes the running weir covers
  weir explain /home/ann                 whether it sees what happens there
  weir watch /home                       who changes what there, live
  weir volumes                           what is mounted, and what weir sees of it
  weir doctor                            what this kernel can do for weir`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:               "weir",
		Short:             "Keep replicas of file trees in real time",
		Long:              rootLong,
		Example:           rootExample,
		Annotations:       map[string]string{exitKey: rootExit},
		Args:              cobra.NoArgs,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		Version:           builtFrom().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	help := newHelpCommand()
	root.AddCommand(append(commands(), help)...)
	root.SetHelpCommand(help)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetUsageTemplate(root.UsageTemplate() + exitTemplate)
	walk(root, describeExit)
	return root
}

// exitKey is the annotation of a command that holds what its exit statuses mean, a line each, where they
// mean something of their own.
const exitKey = "exit"

const exitTemplate = `
Exit status:
{{index .Annotations "exit"}}
`

const exitDefault = `  0  done
  2  refused: the command line
  3  failed: part of the output could not be written, for instance`

// rootExit is what the exit statuses of all commands have in common.
const rootExit = `  0  done
  1  something differs or could not be replicated
  2  refused: the command line, the place or the kernel; nothing was changed
  3  failed, or a target was left behind`

// describeExit makes the help of every command end with its exit statuses.
func describeExit(c *cobra.Command) {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	if c.Annotations[exitKey] == "" {
		c.Annotations[exitKey] = exitDefault
	}
}

// newHelpCommand replaces cobra's own, which calls an unknown topic a success.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Say what a command does, with examples and exit statuses",
		Example: "  weir help mirror",
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if len(args) == 0 {
				for _, known := range c.Root().Commands() {
					if !known.Hidden {
						names = append(names, known.Name())
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			topic, rest, err := c.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("unknown command %q", args[len(args)-len(rest)])
			}
			if err != nil {
				return usageError(c.Root(), err)
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

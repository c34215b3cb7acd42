package main

import (
	"io"

	"github.com/spf13/cobra"

	rules "github.com/weirfs/weir/verify"
)

const completionExample = `  source <(weir completion bash)
  weir completion bash > /etc/bash_completion.d/weir
  weir completion zsh > "${fpath[1]}/_weir"
  weir completion fish > ~/.config/fish/completions/weir.fish`

func newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "Print a completion script for a shell",
		Long:      "Print a script that makes a shell complete weir's commands, flags and arguments.",
		Example:   completionExample,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(c *cobra.Command, args []string) error {
			return writeCompletion(c.Root(), args[0], c.OutOrStdout())
		},
	}
}

// completeDirs offers directories.
func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completeFlags offers what the flags of mirror take, and never files.
func completeFlags(c *cobra.Command) {
	for flag, words := range map[string][]string{
		"replaced": {"hold", "merge", "mirror"}, "progress": {"auto", "always", "never"}, "log-level": {"debug", "info", "warn", "error"},
		"max-delete": {"off"}, "bwlimit": nil, "scan-interval": nil, "exclude": nil, "verify-filters": broken(),
	} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // The flag exists.
	}
	for _, flag := range []string{"state", "forget"} {
		_ = c.RegisterFlagCompletionFunc(flag, completeDirs)
	}
}

// broken offers what may become of each rule that a filter breaks.
func broken() (words []string) {
	for _, r := range append(rules.Rules(), rules.Rule{ID: rules.All}) {
		for _, action := range []rules.Action{rules.Report, rules.Ignore, rules.Remove} {
			words = append(words, r.ID+"="+action.String())
		}
	}
	return words
}

func writeCompletion(root *cobra.Command, shell string, w io.Writer) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	default:
		return root.GenFishCompletion(w, true)
	}
}

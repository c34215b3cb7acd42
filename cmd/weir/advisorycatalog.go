package main

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/advisory"
	"github.com/weirfs/weir/advisory/catalog"
	"github.com/weirfs/weir/advisory/offline"
)

const advisoryCatalogLong = `Say whether the files of an article, on the volume that is mounted at ROOT, are those
that a signed catalog lists, as KB975759.cat of the hotfix does. Each file's Authenticode
hash is looked up in the catalog, and the catalog is judged: whether its list is what was
signed, by whom, to which root the signer's certificate leads, and when.

  PROVED    the list and the signer are proved, and when it was signed, if there is a
            stamp that tells; if there is none, that is said, and the certificates have
            to be valid now. It is said to whom the chain leads: Microsoft,
            whose roots weir knows by their fingerprints, or a root that --root gave
  UNPROVED  something is not; each thing is listed with its reason

Microsoft's catalogs seldom contain their root: give it with --root. A root that is none
of Microsoft's never reads as such, whatever its name is. Whether a certificate has been
revoked is not looked at.`

const advisoryCatalogExit = `  0  the catalog is proved, and every file that is there is listed
  1  the catalog is proved, and a file that is there is not listed
  2  could not decide: UNPROVED, none of the files is there, or one cannot be read; also
     if the command line, the catalog or a root is refused, or there is no Windows below ROOT
  3  part of the output could not be written`

// catalogReport is what a catalog tells of the files of an advisory.
type catalogReport struct {
	Verdict  string        `json:"verdict"`
	Proof    catalog.Proof `json:"proof"`
	Made     time.Time     `json:"made"`
	Members  int           `json:"members"`
	Unread   int           `json:"unread"`
	Files    []catalogFile `json:"files"`
	Advisory string        `json:"advisory"`
}

// catalogFile is a file that is there.
type catalogFile struct {
	offline.Summed
	Listed bool   `json:"listed"`
	By     string `json:"by,omitempty"` // which hash
	As     string `json:"as,omitempty"` // the name that the catalog has for it
	OS     string `json:"os,omitempty"`
}

func newAdvisoryCatalogCommand() *cobra.Command {
	a := new(adviser)
	roots := ""
	command := a.choosing(&cobra.Command{
		Use:         "catalog FILE.cat ROOT",
		Short:       "Say whether files of a Windows volume are those that a signed catalog lists",
		Long:        advisoryCatalogLong,
		Example:     "  weir advisory catalog --root microsoft.pem KB975759.cat /mnt/windows",
		Annotations: map[string]string{exitKey: advisoryCatalogExit},
		Args:        cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			trusted, err := readRoots(roots)
			if err != nil {
				return err
			}
			cat, err := readCatalog(args[0])
			if err != nil {
				return err
			}
			chosen, err := a.chosen()
			if err != nil {
				return err
			}
			var all []catalogReport
			for _, one := range chosen {
				sums, err := offline.Sum(args[1], one)
				if err != nil {
					return err
				}
				all = append(all, reportOf(one, cat, cat.Verify(trusted, time.Now()), sums))
			}
			if err := a.print(c.OutOrStdout(), map[string]any{"reports": all}, func(w io.Writer) error { return printCatalogs(w, all) }); err != nil {
				return err
			}
			return told(judged(all))
		},
	})
	command.Flags().StringVar(&roots, "root", "", "trust the certificates in `FILE` too, in PEM or DER")
	return command
}

func readRoots(path string) (roots catalog.Roots, err error) {
	if path == "" {
		return roots, nil
	}
	text, err := readBounded(path, catalog.MaxRoots)
	if err == nil {
		roots, err = catalog.ReadRoots(text)
	}
	return roots, inFile("read roots", path, "name a file with certificates in PEM or DER", err)
}

func readCatalog(path string) (cat *catalog.Catalog, err error) {
	text, err := readBounded(path, catalog.MaxSize)
	if err == nil {
		cat, err = catalog.Parse(text)
	}
	return cat, inFile("read catalog", path, "name a security catalog, as KB975759.cat is", err)
}

// inFile names the file in an error about it, and what helps if the error does not.
func inFile(op, path, hint string, err error) error {
	if err == nil {
		return nil
	}
	var e *weir.Error
	if errors.As(err, &e) && e.Path == "" {
		err, hint = e.Err, cmp.Or(e.Hint, hint)
	}
	return &weir.Error{Op: op, Kind: weir.KindRefused, Path: path, Err: err, Hint: hint}
}

func reportOf(a *advisory.Advisory, cat *catalog.Catalog, proof catalog.Proof, sums []offline.Summed) catalogReport {
	r := catalogReport{Verdict: "UNPROVED", Proof: proof, Made: cat.Made, Members: len(cat.Members), Unread: cat.Unread, Advisory: a.ID, Files: []catalogFile{}}
	if proof.Proved() {
		r.Verdict = "PROVED"
	}
	for _, s := range sums {
		f := catalogFile{Summed: s}
		for _, by := range []struct {
			hash crypto.Hash
			sum  []byte
		}{{crypto.SHA1, s.SHA1}, {crypto.SHA256, s.SHA256}} {
			if m, listed := cat.Find(by.hash, by.sum); listed && len(by.sum) > 0 {
				f.Listed, f.By, f.As, f.OS = true, by.hash.String(), m.File, m.OS
			}
		}
		r.Files = append(r.Files, f)
	}
	if cat.Unread > 0 && slices.ContainsFunc(r.Files, func(f catalogFile) bool { return !f.Listed }) {
		r.Verdict = "UNPROVED"
		r.Proof.Unproved = append(r.Proof.Unproved, fmt.Sprintf("%s cannot be looked up, by which a file may be listed", plural(int64(cat.Unread), "member")))
	}
	return r
}

// judged is the error whose kind gives the status.
func judged(all []catalogReport) (worst error) {
	for _, r := range all {
		undecided := r.Verdict != "PROVED" || len(r.Files) == 0
		differs := false
		for _, f := range r.Files {
			undecided = undecided || f.Problem != ""
			differs = differs || !f.Listed
		}
		switch {
		case undecided:
			return &weir.Error{Op: "catalog", Kind: weir.KindRefused, Err: errors.New("it could not be decided")}
		case differs:
			worst = &weir.Error{Op: "catalog", Kind: weir.KindDiffers, Err: errors.New("a file is not listed")}
		}
	}
	return worst
}

func printCatalogs(w io.Writer, all []catalogReport) error {
	for i, r := range all {
		if i == 0 {
			printProof(w, r)
		}
		if len(r.Files) == 0 {
			fmt.Fprintf(w, "\nNone of the files of %s is there.\n", r.Advisory)
			continue
		}
		rows := [][]string{{r.Advisory + " FILE", "IN THE CATALOG", "AS", "SYSTEM"}}
		for _, f := range r.Files {
			listed := "not listed"
			switch {
			case f.Problem != "":
				listed = "not read: " + printable(f.Problem)
			case f.Listed:
				listed = "listed by " + f.By
			}
			rows = append(rows, []string{weir.QuotePath(f.Path), listed, cmp.Or(printable(f.As), "-"), cmp.Or(printable(f.OS), "-")})
		}
		if err := printTable(w, rows); err != nil {
			return err
		}
	}
	return nil
}

func printProof(w io.Writer, r catalogReport) {
	p := r.Proof
	fmt.Fprintf(w, "%s, %s\n", r.Verdict, rootNamed(p))
	fmt.Fprintf(w, "  a list of %s, made %s\n", plural(int64(r.Members), "file"), utc(r.Made))
	if r.Unread > 0 {
		fmt.Fprintf(w, "  %s cannot be looked up: without a hash of SHA-1 or SHA-256, or with two that differ\n", plural(int64(r.Unread), "member"))
	}
	if p.Signer != "" {
		fmt.Fprintf(w, "  signed by %s\n", printable(p.Signer))
	}
	switch {
	case p.Stamp.Root != catalog.RootNone:
		fmt.Fprintf(w, "  at %s, by the stamp of %s\n", utc(p.Stamp.Time), printable(p.Stamp.By))
	case !p.Stamp.Time.IsZero():
		fmt.Fprintf(w, "  at %s, as %s is said to have stamped it: not proved\n", utc(p.Stamp.Time), printable(p.Stamp.By))
	case !p.Claimed.IsZero():
		fmt.Fprintf(w, "  at %s, as the signer says; without a stamp that is not proved, and the certificates have to be valid now\n", utc(p.Claimed))
	case p.Signer != "":
		fmt.Fprintln(w, "  at a time that nothing tells; the certificates have to be valid now")
	}
	for _, l := range p.Chain {
		fmt.Fprintf(w, "  certificate: %s, %s to %s, %s, SHA-256 %s\n", printable(l.Subject), utc(l.NotBefore), utc(l.NotAfter), l.Algorithm, l.Fingerprint)
	}
	printList(w, "Not proved", p.Unproved, printable)
	if strings.Contains(strings.Join(p.Unproved, "\n"), "is not there") {
		fmt.Fprintln(w, "  A certificate that is missing may be given with --root.")
	}
}

// rootNamed says to whom the chain leads.
func rootNamed(p catalog.Proof) string {
	switch {
	case p.Root == catalog.RootMicrosoft && p.Component:
		return "up to a root of Microsoft's, for components of Windows itself"
	case p.Root == catalog.RootMicrosoft:
		return "up to a root of Microsoft's, for code that may be of others"
	case p.Root == catalog.RootGiven:
		return "up to a root that was given, and that is none of Microsoft's"
	}
	return "up to no root that is trusted"
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "at a time that is not known"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

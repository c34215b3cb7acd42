// Package advisory decides whether a Windows installation is affected by what a service article describes, and whether the
// files that mend it are there. It is for those who have the disk and not the running machine: what it decides on is Evidence
// that others have read, and what it decides by is data, a file in TOML for each article.
//
// The package opens nothing. Its rooms below read one kind of thing each: advisory/image executables, advisory/hive registries,
// advisory/catalog signed lists of files, advisory/fltmc what the filter manager's own tool has printed; advisory/offline gathers
// the evidence from a mounted volume.
package advisory

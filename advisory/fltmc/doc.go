// Package fltmc reads what the filter manager's own tool, fltmc, has printed on a Windows machine, and finds the volumes on
// which a filter that is elsewhere has no instance: the symptom of the defect that KB 975759 describes.
//
// The text is what an administrator has saved or pasted: the listings of fltmc filters, fltmc instances (of all, with -v VOLUME
// or with -f FILTER) and fltmc volumes, one after the other, in any order, with prompts and words between them. It may be UTF-8,
// or UTF-16 as PowerShell saves it; lines may be wrapped as consoles wrap them. Columns are known by their names and places in
// the header and the line of dashes under it, since their number and order differ from Windows XP to 11; a value wider than its
// column moves those after it. What is not understood, such as a header in another language, is an error with its line and is
// never guessed.
//
// What it cannot know: the listings are of moments, not of one moment. fltmc prints no name for a volume that has neither a
// letter nor a mount point in fltmc instances (Windows 10 and 11), so that it is not known which of them an instance is on.
//
// The package is pure and imports the standard library and weir. A Listing may be read from several goroutines.
package fltmc

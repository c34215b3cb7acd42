// Package hive reads keys and values from the file of a Windows registry hive that nobody has loaded, such as
// Windows\System32\config\SOFTWARE on a disk. The file may be damaged or made to deceive: every offset and length is checked
// against the file, each call reads at most what the file can hold of what was asked for, and no more of a file of 200 MiB
// than the keys on the way. What is not there (ErrAbsent) is told apart from what cannot be read, since an advisory concludes
// from the absence of a record.
//
// It reads the primary file alone. Where Dirty says that changes wait in the log beside it, the file may be older than what the
// machine would read, or half written. Links between keys (CurrentControlSet) are made when a machine starts, and are not there:
// Select\Current has the number. Volatile keys are never in a file.
//
// The format is read as in Maxim Suhanov's description (github.com/msuhanov/regf), versions 1.3 to 1.6. There is a library,
// www.velocidex.com/golang/regparser, which is not used because it cannot be bounded honestly: a field that cannot be read is 0
// to it, a record with a wrong signature is passed over, so that damage looks like absence; lists of lists recurse without
// end; names that are not Latin-1 are not decoded.
//
// A Hive and its Keys may be used from several goroutines if its reader may be. The package imports the standard library only.
package hive

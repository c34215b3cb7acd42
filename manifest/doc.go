// Package manifest reads what an administrator says of a filter's instances: which there are, at which altitudes, and how
// they are attached. It is a file in TOML for each filter, and puts its instances in the place of those that the filter has
// by itself, which nothing else of the filter depends on:
//
//	filter = "activity"
//	default = "low"             # may be left out where there is one instance
//
//	[[instance]]
//	name = "low"
//	altitude = "365000.5"
//	attach = "any"              # or automatic, or manual; any if it is left out
//
// The package opens no file, and knows no filter: whether one can have the instances is for package manager to say.
package manifest

// Package archtest holds weir's packages to their documents: it reads the table of packages in
// docs/architecture.md and the table of modules in docs/dependencies.md, and compares them with what the
// source files import. So the documents cannot say one thing and the code another.
//
// It has no code outside its tests, and imports nothing of weir.
package archtest

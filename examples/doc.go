// Package examples has whole filters in its subdirectories, each with a test: one that observes, one that refuses, and one
// that keeps something on files. What docs/filters.md shows is from them, which a test here checks.
package examples

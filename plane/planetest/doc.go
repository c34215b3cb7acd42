// Package planetest is the conformance suite of weir.Plane and weir.Intercepting: what a plane promises the manager, as
// tests that every plane passes. It imports no plane.
package planetest

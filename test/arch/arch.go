// Package arch holds the project's own rules as tests: which package may import which, what pure packages may not touch,
// that packages and exported names are documented, how long files and functions may grow, that every dependency has its
// reason written down. The rules are in rules_test.go; an exception to one stands in a list there, with its reason.
//
// It does not judge behaviour: that is the job of each package's own tests.
package arch

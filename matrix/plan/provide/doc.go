// Package provide tells which of a run's packages satisfy what others require,
// and what must be installed together with them: by name, by what they provide,
// by file, in a range of versions, or by a rich dependency.
//
// Where several packages would do, the choice is always the same one. What is
// part of the root already is taken first. Then comes who was made by the same
// choices: with a consumer for compiler gnu14, a package for another compiler
// comes after all that are for gnu14 or for none. Then a package of that very
// name comes before one that only provides it, then one of the consumer's own,
// then the one with more choices in common, then the one that was given first.
//
// Of the alternatives in (A or B) the first that there is counts, unless the root
// holds another one already. (A if B) asks for A when the root holds B, or when
// nobody knows whether the base does.
package provide

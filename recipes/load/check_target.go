package load

// checkTargets finds what is wrong with each target by itself. Which target's
// image it borrows is not looked for: more targets than a catalogue's can exist.
func (l *loader) checkTargets() {
	for _, t := range l.catalog.Targets {
		l.checkFileName(t, t.Name)
		t.Check(func(key, hint, format string, args ...any) { l.failIn(t, key, hint, format, args...) })
	}
}

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct point {
	int n;
	double x;
	char name[33];
};

static double sum(const struct point *p, int n)
{
	double r = 0;
	for (int i = 0; i < n; i++) {
		r += sqrt(p[i].x) * p[i].n;
		assert(r >= 0);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct point p[100];
	char text[256];
	for (int i = 0; i < 100; i++) {
		p[i].n = i * argc;
		p[i].x = i * 1.5;
		strncpy(p[i].name, argv[0], sizeof p[i].name);
	}
	snprintf(text, sizeof text, "%g", sum(p, 100));
	return puts(text) < 0;
}

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

template <class T> T sum(const std::vector<T> &v)
{
	T r{};
	for (size_t i = 0; i < v.size(); i++)
		r += v[i]; // checked: __FILE__ of a header ends up in the object
	return r;
}

int main(int argc, char **argv)
{
	std::vector<double> v(argc * 10, 0.5);
	std::sort(v.begin(), v.end(), [](double a, double b) { return a > b; });
	try {
		if (v.at(3) > 1)
			throw std::runtime_error(std::string(argv[0]) + "!");
	} catch (const std::exception &e) {
		std::puts(e.what());
	}
	return std::printf("%g\n", sum(v)) < 0;
}

module axpys
  use iso_c_binding
  implicit none
contains
  subroutine axpy(n, a, x, y)
    integer, intent(in) :: n
    real(8), intent(in) :: a, x(:)
    real(8), intent(inout) :: y(:)
    integer :: i
    !$omp parallel do
    do i = 1, n
      y(i) = y(i) + a * x(i)
    end do
  end subroutine
end module

program main
  use axpys
  real(8) :: x(100), y(100), z(10, 10)
  x = 0.5
  y = 1
  z = reshape(x, [10, 10])
  call axpy(100, 2d0, x, y)
  print *, sum(y), sum(matmul(z, z))
end program

from django.db import models


class Customer(models.Model):
    name = models.CharField(max_length=100)
    email = models.EmailField(null=True)
    joined = models.DateTimeField()
    balance = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    tags = models.JSONField(default=list)
    active = models.BooleanField(default=True)
    photo = models.BinaryField(null=True)

    class Meta:
        indexes = [models.Index(fields=["name"], name="customer_name")]


class Order(models.Model):
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="orders")
    product = models.CharField(max_length=50)
    amount = models.PositiveIntegerField()
    took = models.DurationField(null=True)
